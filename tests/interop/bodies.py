"""Bodies on which a relay stumbles, by name."""

BODIES = {
    "empty": b"",
    "dots": b".\r\n..\r\n...\r\n.a\r\n\r\n.\r\n",
    "only dots": b".\r\n",
    "long lines": b"x" * 998 + b"\r\n" + b"y" * 20_000 + b"\r\n." + b"z" * 4_000 + b"\r\n",
    "eight bits": "Grüße aus Köln, à bientôt\r\n".encode() * 20 + bytes(range(0x80, 0x100)) + b"\r\n",
    "blank lines": b"\r\n\r\n\r\na\r\n\r\n\r\n",
    "spaces": b" a \r\n\t\r\nFrom here\r\n",
}
