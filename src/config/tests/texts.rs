//! The pattern functions against Lua's own answers, as its manual and its interpreter give them.

use super::problems;

/// Runs assertions written in Lua; the file defines nothing else.
async fn holds(text: &str) {
    let problems = problems(text).await;
    assert_eq!(problems, ["master.cfg.lua: no worker is defined, set `c.workers`"]);
}

#[tokio::test]
async fn patterns_match_as_in_lua() {
    holds(
        r#"
local function same(expected, ...)
  local got = {}
  for i = 1, select('#', ...) do got[i] = tostring((select(i, ...))) end
  got = table.concat(got, ' ')
  if got ~= expected then error('expected ' .. expected .. ', got ' .. got, 2) end
end
same('1 5', ('hello'):find('hello'))
same('3 4', ('hello'):find('ll'))
same('nil', ('hello'):find('xyz'))
same('1 0', ('hello'):find(''))
same('6 5', ('hello'):find('', 6))
same('nil', ('hello'):find('', 7))
same('6 5', ('hello'):find('$'))
same('2 2', ('a.b'):find('.', 2, true))
same('nil', ('a+b'):find('a+b'))
same('1 3', ('a+b'):find('a+b', 1, true))
same('4 5 lo', ('hello'):find('(lo)'))
same('nil', ('hello'):find('^lo'))
same('4 5', ('hello'):find('lo', -2))
same('key value', ('key = value'):match('^(%w+)%s*=%s*(%w+)$'))
same('  x', ('  x  '):match('^(.-)%s*$'))
same('1 4', ('abc'):match('()abc()'))
same('(a(b)c)', ('x(a(b)c)d'):match('%b()'))
same('THE', ('THE (quick) fox'):match('%f[%a]%a+%f[%A]'))
same('"', ([[say "it" now]]):match([[(["']).-%1]]))
same(']', ('a]b'):match('[]]'))
same('-', ('a-b'):match('[a-]', 2))
same('^', ('a^b'):match('[b^]'))
same('ab', ('ab12'):match('[^%d]+'))
same('12', ('ab12'):match('%d+', 2))
same('x', ('x'):match('x?x'))
same('aaab', ('aaab'):match('a*b'))
same('b', ('b'):match('a*b'))
same('nil', ('b'):match('a+b'))
same('ab', ('aab'):match('ab', 2))
same('0x1F', ('n = 0x1F'):match('0x%x+'))
same('%', ('100%'):match('%%'))
same('hexo 1', ('hello'):gsub('ll', 'x'))
same('h3ll3 2', ('hello'):gsub('[eo]', '3'))
same('heLLo 2', ('hello'):gsub('l', string.upper))
same('-h-e-l-l-o- 6', ('hello'):gsub('', '-'))
same('world hello 1', ('hello world'):gsub('(%w+) (%w+)', '%2 %1'))
same('<hello> 1', ('hello'):gsub('%w+', '<%0>'))
same('1 b 2', ('a b'):gsub('%w', { a = 1, b = false }))
same('xello 1', ('hello'):gsub('%w', 'x', 1))
same('abc 0', ('abc'):gsub('%w', 'x', 0))
same('xbc 1', ('abc'):gsub('^a', 'x'))
same('50% 1', ('50p'):gsub('p', '%%'))
same('.. 2', ('ab'):gsub('%w', '.'))
same(' a b  3', ('a  b'):gsub(' *', ' '))
local words = {}
for word, at in ('one two;three'):gmatch('(%a+)()') do words[#words + 1] = word .. at end
same('one4 two8 three14', table.concat(words, ' '))
local empty = 0
for _ in ('abc'):gmatch('') do empty = empty + 1 end
same('4', empty)
local late = {}
for k in ('a=1,b=2'):gmatch('(%w)=', 3) do late[#late + 1] = k end
same('b', table.concat(late))
same('true', not pcall(string.find, 'a', '[a'))
same('true', not pcall(string.find, 'a', '%'))
same('true', not pcall(string.find, 'a', '(a'))
same('true', not pcall(string.find, 'a', 'a)'))
same('true', not pcall(string.find, 'a', '%1'))
same('true', not pcall(string.gsub, 'a', 'a', '%2'))
same('true', not pcall(string.gsub, 'a', 'a', '%'))
same('true', not pcall(string.gsub, 'a', 'a', true))
same('ababab', ('ab'):rep(3))
same('ab-ab', ('ab'):rep(2, '-'))
same('', ('ab'):rep(0))
same('--', (''):rep(3, '-'))
"#,
    )
    .await;
}

#[tokio::test]
async fn a_bad_pattern_is_an_error_at_its_line() {
    assert_eq!(
        problems("\nlocal x = ('x'):find('[a')").await[0],
        "master.cfg.lua:2: malformed pattern (missing ']')"
    );
    assert_eq!(
        problems("\n\nlocal x = ('x'):gsub('x', '%9')").await[0],
        "master.cfg.lua:3: invalid capture index"
    );
}

#[tokio::test]
async fn the_rest_of_the_library_is_lua_s_own() {
    holds(
        r#"
assert(("%5.2f"):format(1.5) == " 1.50" and ("x"):upper() == "X" and utf8.len("größe") == 5)
local t = { 3, 1, 2 }
table.sort(t)
assert(table.concat(t, ",") == "1,2,3" and table.unpack(t) == 1 and #table.pack(1, nil) == 1)
table.insert(t, 4) table.insert(t, 1, 0) assert(table.remove(t) == 4 and t[1] == 0)
assert(#table.move({ 1, 2, 3 }, 1, 3, 2) == 4)
assert(math.floor(1.5) == 1 and type(os.time()) == "number" and os.getenv "NO_SUCH_NAME" == nil)
local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end)
assert(co(1) == 2 and co(4) == 8)
assert(select(2, pcall(coroutine.wrap(function() error({ code = 7 }) end))).code == 7)
local ok, why = pcall(error, "plain", 0) assert(not ok and why == "plain")
local function raise() error "placed" end
assert(select(2, pcall(raise)):match "^master.cfg.lua:%d+: placed$")
assert(select(2, pcall(function() error("above", 2) end)) == "above")
assert(xpcall(function(x) return x end, print, 5))
assert(select(2, xpcall(error, function(m) return m .. "!" end, "x")):match "x!$")
assert(load("return ...", "name", "t", {})(3) == 3 and load("x =") == nil)
assert(setmetatable({}, { __index = { a = 1 } }).a == 1 and rawget(_G, "nothing") == nil)
assert(debug.traceback("m"):match "^m\nstack traceback")
local closed
do local x <close> = setmetatable({}, { __close = function() closed = true end }) end
assert(closed and next({}) == nil and tostring(1) == "1" and _VERSION == "Lua 5.4")
"#,
    )
    .await;
}
