//! The paths that a source file names, resolved to a room of ours or to another crate.
//!
//! There is no type checker here, so names are followed by a simple rule: an alias (`use a::b as c`) counts in its whole file,
//! whatever block it stands in. That can find a path too many, in a file where one name has two meanings; never one too few.
//!
//! # Not here
//! What is allowed (the table in `layers`).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::{
    Attribute, Item, Meta, UseTree,
    visit::{self, Visit},
};

use crate::support::tree;

/// A path that a file names.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    /// From 1.
    pub(super) line: usize,
    /// From the root of our crate or, if it is not ours, beginning with the other crate's name.
    pub(super) path: String,
    /// Whether it leads into our crate.
    pub(super) is_ours: bool,
    /// Whether it is compiled for tests only.
    pub(super) in_test: bool,
    /// Why the file cannot be judged by its paths here, whatever the table says.
    pub(super) trick: Option<&'static str>,
}

/// A source file.
pub(super) struct Source {
    /// Relative to the crate.
    pub(super) file: String,
    /// Where it is in the crate; `bin` and a name for a binary.
    pub(super) module: Vec<String>,
    found: Finder,
}

/// All files below `folder`, which is the `src` of a crate.
pub(super) fn sources(folder: &Path) -> Vec<Source> {
    let mut sources: Vec<Source> = tree::rust_files(folder)
        .iter()
        .map(|path| {
            let relative = path.strip_prefix(folder).expect("it was found there");
            Source::new(&relative.to_string_lossy(), &tree::parse(path))
        })
        .collect();
    let for_tests: BTreeSet<Vec<String>> =
        sources.iter().flat_map(|source| source.found.test_files.clone()).collect();
    for source in &mut sources {
        let is_for_tests = |depth| for_tests.contains(&source.module[..depth]);
        if (1..=source.module.len()).any(is_for_tests) {
            source.found.raw.iter_mut().for_each(|raw| raw.in_test = true);
        }
    }
    sources
}

impl Source {
    /// Reads `file`, named relative to `src`.
    pub(super) fn new(file: &str, parsed: &syn::File) -> Self {
        let mut module: Vec<String> =
            file.trim_end_matches(".rs").split('/').map(ToOwned::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod" || last == "lib") {
            module.pop();
        }
        let mut found = Finder { module: module.clone(), ..Finder::default() };
        found.visit_file(parsed);
        Self { file: format!("src/{file}"), module, found }
    }

    /// The paths in it.
    pub(super) fn mentions(&self) -> Vec<Mention> {
        self.found.raw.iter().flat_map(|raw| self.resolve_all(raw)).collect()
    }

    fn resolve_all(&self, raw: &Raw) -> Vec<Mention> {
        let resolved = self.resolve(&raw.module, &raw.words, &mut Vec::new());
        let mention = |(is_ours, words): (bool, Vec<String>)| Mention {
            line: raw.line,
            path: words.join("::"),
            is_ours,
            in_test: raw.in_test,
            trick: raw.trick,
        };
        resolved.into_iter().map(mention).collect()
    }

    /// Where a path leads: ours or not, and the words from the root. An alias with several meanings leads to all of them.
    fn resolve(
        &self,
        module: &[String],
        words: &[String],
        seen: &mut Vec<String>,
    ) -> Vec<(bool, Vec<String>)> {
        let Some((first, rest)) = words.split_first() else { return vec![(true, module.to_vec())] };
        let root = if module.first().is_some_and(|room| room == "bin") { &module[..2] } else { &[] };
        let below = |base: &[String]| resolve_from(base, rest);
        match first.as_str() {
            // What stands after `::` is a crate.
            "" => vec![(false, rest.to_vec())],
            "Self" => Vec::new(),
            "crate" => below(root),
            "self" => below(module),
            "super" => below(module.split_last().map_or(&[], |(_, above)| above)),
            name if self.found.children.contains(&(module.to_vec(), name.to_owned())) => {
                below(&[module, &[name.to_owned()]].concat())
            }
            name if !seen.iter().any(|seen| seen == name) && self.found.aliases.contains_key(name) => {
                seen.push(name.to_owned());
                let meanings = &self.found.aliases[name];
                let out = meanings
                    .iter()
                    .flat_map(|(module, target)| self.resolve(module, target, seen))
                    .map(|(is_ours, target)| (is_ours, [target.as_slice(), rest].concat()))
                    .collect();
                seen.pop();
                out
            }
            "lunabot" => vec![(true, rest.to_vec())],
            _ => vec![(false, words.to_vec())],
        }
    }
}

/// `rest`, seen from `base`; it may climb further.
fn resolve_from(base: &[String], rest: &[String]) -> Vec<(bool, Vec<String>)> {
    match rest.split_first() {
        Some((word, rest)) if word == "super" => {
            resolve_from(base.split_last().map_or(&[], |(_, above)| above), rest)
        }
        Some((word, rest)) if word == "self" => resolve_from(base, rest),
        _ => vec![(true, [base, rest].concat())],
    }
}

/// A path as it is written.
struct Raw {
    line: usize,
    module: Vec<String>,
    words: Vec<String>,
    in_test: bool,
    trick: Option<&'static str>,
}

/// What an alias was made from: the module where that was, and the path as written there.
type Meaning = (Vec<String>, Vec<String>);

/// Walks a file.
#[derive(Default)]
struct Finder {
    module: Vec<String>,
    in_test: bool,
    raw: Vec<Raw>,
    aliases: BTreeMap<String, Vec<Meaning>>,
    /// Modules declared in this file: the parent, and the name.
    children: BTreeSet<(Vec<String>, String)>,
    /// Modules with a file of their own that only tests have.
    test_files: Vec<Vec<String>>,
}

impl Finder {
    fn note(&mut self, words: Vec<String>, span: Span) {
        self.note_trick(words, span, None);
    }

    fn note_trick(&mut self, words: Vec<String>, span: Span, trick: Option<&'static str>) {
        let line = span.start().line;
        self.raw.push(Raw { line, module: self.module.clone(), words, in_test: self.in_test, trick });
    }

    fn note_path(&mut self, path: &syn::Path) {
        let words = path.segments.iter().map(|segment| segment.ident.to_string());
        let leading = path.leading_colon.map(|_| String::new());
        // A single name was imported, and is judged at its `use`, or is a local one.
        if path.segments.len() > 1 {
            self.note(leading.into_iter().chain(words).collect(), path.segments[0].ident.span());
        }
    }

    fn note_use(&mut self, prefix: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| match name.to_string().as_str() {
            // `use a::{self}` is `use a`; at the front it is a place to begin from.
            "self" if !prefix.is_empty() => prefix.to_vec(),
            name => [prefix, &[name.to_owned()]].concat(),
        };
        let mut alias = |name: &str, words: &[String]| {
            let meaning = (self.module.clone(), words.to_vec());
            self.aliases.entry(name.to_owned()).or_default().push(meaning);
        };
        match tree {
            UseTree::Path(path) => self.note_use(&with(&path.ident), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.note_use(prefix, item)),
            UseTree::Glob(glob) => {
                let words = [prefix, &["*".to_owned()]].concat();
                self.note(words, glob.star_token.spans[0]);
            }
            UseTree::Name(name) => {
                let words = with(&name.ident);
                if let Some(last) = words.last().cloned() {
                    alias(&last, &words);
                }
                self.note(words, name.ident.span());
            }
            UseTree::Rename(rename) => {
                let words = with(&rename.ident);
                alias(&rename.rename.to_string(), &words);
                self.note(words, rename.ident.span());
            }
        }
    }

    /// Finds paths in tokens that nobody has parsed: what a macro is given, what `macro_rules` writes, an attribute.
    fn note_tokens(&mut self, tokens: TokenStream, prefix: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is_punct = |at: usize, mark: char| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == mark);
        let is_separator = |at: usize| is_punct(at, ':') && is_punct(at + 1, ':');
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Group(group) => self.note_tokens(group.stream(), prefix),
                TokenTree::Punct(punct) if punct.as_char() == '*' && !prefix.is_empty() => {
                    self.note([prefix, &["*".to_owned()]].concat(), punct.span());
                }
                TokenTree::Ident(first) => {
                    let is_absolute = at >= 2 && is_separator(at - 2);
                    let mut words = prefix.to_vec();
                    if is_absolute && prefix.is_empty() {
                        words.push(String::new());
                    }
                    words.push(first.to_string());
                    let mut is_shared = false;
                    while is_separator(at + 1) {
                        match tokens.get(at + 3) {
                            Some(TokenTree::Ident(next)) => words.push(next.to_string()),
                            Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                                words.push("*".to_owned());
                            }
                            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                                self.note_tokens(group.stream(), &words);
                                is_shared = true;
                            }
                            _ => break,
                        }
                        at += 3;
                    }
                    if words.len() > 1 && !is_shared {
                        self.note(words, first.span());
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }

    /// Finds paths that an attribute holds as a text: `#[serde(with = "crate::store::text")]`.
    fn note_texts(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.note_texts(group.stream()),
                TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string())
                        && let Ok(path) = syn::parse_str::<syn::Path>(&text.value())
                        && path.segments.len() > 1
                    {
                        let words = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
                        self.note(words, literal.span());
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_file(&mut self, file: &'ast syn::File) {
        self.in_test = file.attrs.iter().any(is_for_tests);
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        let before = self.in_test;
        self.in_test |= attributes(item).iter().any(is_for_tests);
        visit::visit_item(self, item);
        self.in_test = before;
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let name = module.ident.to_string();
        self.children.insert((self.module.clone(), name.clone()));
        if module.attrs.iter().any(|attribute| attribute.path().is_ident("path")) {
            self.note_trick(
                Vec::new(),
                module.ident.span(),
                Some("`#[path]` hides to which room a file belongs"),
            );
        }
        self.module.push(name);
        if module.content.is_none() && self.in_test {
            self.test_files.push(self.module.clone());
        }
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let leading: Vec<String> = item.leading_colon.map(|_| String::new()).into_iter().collect();
        self.note_use(&leading, &item.tree);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        let name = item.ident.to_string();
        let words = if name == "self" { vec!["crate".to_owned()] } else { vec![String::new(), name] };
        if let Some((_, alias)) = &item.rename {
            let meaning = (self.module.clone(), words.clone());
            self.aliases.entry(alias.to_string()).or_default().push(meaning);
        }
        self.note(words, item.ident.span());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.note_path(path);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.segments.last().is_some_and(|last| last.ident == "include") {
            let span = call.path.segments[0].ident.span();
            self.note_trick(Vec::new(), span, Some("`include!` hides to which room a file belongs"));
        }
        self.visit_path(&call.path);
        self.note_tokens(call.tokens.clone(), &[]);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        self.visit_path(attribute.path());
        match &attribute.meta {
            Meta::List(list) => {
                self.note_tokens(list.tokens.clone(), &[]);
                self.note_texts(list.tokens.clone());
            }
            Meta::NameValue(pair) => self.visit_expr(&pair.value),
            Meta::Path(_) => {}
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "elapsed" && call.args.is_empty() {
            self.note(vec![String::new(), "Instant".to_owned(), "elapsed".to_owned()], call.method.span());
        }
        visit::visit_expr_method_call(self, call);
    }

    /// `pub(in crate::worker)` uses nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        // Nothing that a test would need a file or a clock for.
        _ => &[],
    }
}

/// `#[cfg(test)]`, and `#[cfg(all(test, …))]`.
fn is_for_tests(attribute: &Attribute) -> bool {
    fn requires_test(meta: &Meta) -> bool {
        match meta {
            Meta::Path(path) => path.is_ident("test"),
            Meta::List(list) if list.path.is_ident("all") => {
                let all = syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated;
                list.parse_args_with(all).is_ok_and(|all| all.iter().any(requires_test))
            }
            _ => false,
        }
    }
    attribute.path().is_ident("cfg") && attribute.parse_args().is_ok_and(|meta: Meta| requires_test(&meta))
}
