"""An SMTP server for one test, on a free port of loopback: says `listening PORT`, and ends when its standard input does.

Each mail that it takes becomes two files in DIR: `N.eml`, the bytes, and `N.json`, the envelope, which is written last.
"""

import argparse
import asyncio
import json
import logging
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

parser = argparse.ArgumentParser()
parser.add_argument("dir")
parser.add_argument("--tls", choices=["none", "starttls", "smtps"], default="none")
parser.add_argument("--cert")
parser.add_argument("--key")
parser.add_argument("--login", metavar="USER:PASSWORD", help="nobody sends without it")
parser.add_argument("--rcpt", metavar="REPLY", help="says this to each recipient")
parser.add_argument("--rcpt-of", metavar="ADDRESS", help="says that to this one alone")
parser.add_argument("--data", metavar="REPLY", help="says this to each mail, and does not keep it")
parser.add_argument("--port", type=int, default=0, help="any free one, unless given")
parser.add_argument("--late", metavar="SECONDS", type=float, default=0, help="keeps the mail, and answers after that")
parser.add_argument("--drop", action="store_true", help="keeps the mail, and hangs up instead of an answer")
parser.add_argument("--slow", metavar="SECONDS", type=float, default=0, help="before each recipient is answered")
arguments = parser.parse_args()
logging.basicConfig(stream=sys.stderr)


class Handler:
    count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        await asyncio.sleep(arguments.slow)
        if arguments.rcpt and arguments.rcpt_of in (None, address):
            return arguments.rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if arguments.data:
            return arguments.data
        Handler.count += 1
        name = os.path.join(arguments.dir, str(Handler.count))
        with open(name + ".eml", "wb") as file:
            file.write(envelope.original_content)
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "hello": session.host_name,
            "encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "authenticated": session.authenticated,
        }
        with open(name + ".part", "w") as file:
            json.dump(told, file)
        os.rename(name + ".part", name + ".json")
        await asyncio.sleep(arguments.late)
        if arguments.drop:
            server.transport.abort()
        return "250 kept as %d" % Handler.count


def authenticate(server, session, envelope, mechanism, data):
    given = data.login + b":" + data.password
    return AuthResult(success=given == arguments.login.encode(), handled=False)


async def main():
    context = None
    if arguments.tls != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.cert, arguments.key)
    more = {}
    if arguments.login:
        more = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False}
    loop = asyncio.get_running_loop()

    def protocol():
        return SMTP(
            Handler(),
            loop=loop,
            hostname="smtp.test",
            enable_SMTPUTF8=True,
            tls_context=context if arguments.tls == "starttls" else None,
            **more,
        )

    wrapped = context if arguments.tls == "smtps" else None
    server = await loop.create_server(protocol, "127.0.0.1", arguments.port, ssl=wrapped)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    # Nobody waits for a test that has died.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
