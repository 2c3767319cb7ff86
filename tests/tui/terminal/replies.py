"""What terminals answer, by the documents that define it: xterm's "Control Sequences" and kitty's protocols."""

ST = "\x1b\\"

REPORTS = {
    "DA1": "\x1b[?64;1;2;6;9;15;16;17;18;21;22;28c",
    "DA1 of a VT100": "\x1b[?1;2c",
    "DA2": "\x1b[>41;390;0c",
    "DSR: ready": "\x1b[0n",
    "DSR: a fault": "\x1b[3n",
    "CPR": "\x1b[24;80R",
    "CPR at the origin": "\x1b[1;1R",
    "CPR where shift+f3 would be": "\x1b[1;2R",
    "DECXCPR": "\x1b[?24;80R",
    "DECXCPR with its page": "\x1b[?24;80;1R",
    "DSR: printer": "\x1b[?13n",
    "DSR: user-defined keys": "\x1b[?20n",
    "DSR: keyboard": "\x1b[?27;1;0;0n",
    "DSR: locator": "\x1b[?53n",
    "DSR: kind of locator": "\x1b[?57;1n",
    "DSR: space for macros": "\x1b[0*{",
    "DSR: data integrity": "\x1b[?70n",
    "DSR: sessions": "\x1b[?83n",
    "colour scheme, dark": "\x1b[?997;1n",
    "colour scheme, light": "\x1b[?997;2n",
    "DECRPM": "\x1b[?1006;1$y",
    "DECRPM: unknown": "\x1b[?2031;0$y",
    "DECRPM: synchronized output": "\x1b[?2026;2$y",
    "DECRPM: size in band": "\x1b[?2048;0$y",
    "RPM of ANSI": "\x1b[4;2$y",
    "DECREPTPARM": "\x1b[2;1;1;128;128;1;0x",
    "DECREPTPARM, solicited": "\x1b[3;1;1;112;112;1;0x",
    "DECLRP": "\x1b[2;4;12;7;1&w",
    "DECLRP: no locator": "\x1b[0&w",
    "DECRPDE": '\x1b[24;80;1;1;1"w',
    "XTQMODKEYS": "\x1b[>4;2m",
    "XTQFMTKEYS": "\x1b[>4;1f",
    "XTREPORTCOLORS": "\x1b[?0;0#Q",
    "XTREPORTSGR": "\x1b[0;1;31m",
    "XTTITLEPOS": "\x1b[0;10#S",
    "XTSMGRAPHICS": "\x1b[?1;0;1024S",
    "XTSMGRAPHICS: geometry": "\x1b[?2;0;1000;1000S",
    "XTWINOPS: a window": "\x1b[1t",
    "XTWINOPS: an icon": "\x1b[2t",
    "XTWINOPS: place": "\x1b[3;0;25t",
    "XTWINOPS: pixels": "\x1b[4;600;800t",
    "XTWINOPS: pixels of the display": "\x1b[5;1080;1920t",
    "XTWINOPS: pixels of a cell": "\x1b[6;18;9t",
    "XTWINOPS: cells": "\x1b[8;40;120t",
    "XTWINOPS: cells of the display": "\x1b[9;60;213t",
    "focus": "\x1b[I",
    "no focus": "\x1b[O",
    "kitty: keyboard": "\x1b[?25u",
    "kitty: keyboard, nothing set": "\x1b[?0u",
    "kitty: cursors": "\x1b[>100;1:2:3;29:2:4:5 q",
    "kitty: cursors known": "\x1b[>1;2;3;29;30;40;100;101 q",
    "VT52": "\x1b/Z",
}
"""Control sequences that are no keys."""

STRINGS = {
    "OSC 4": "\x1b]4;1;rgb:cdcd/0000/0000",
    "OSC 5": "\x1b]5;0;rgb:ffff/ffff/ffff",
    "OSC 10": "\x1b]10;rgb:c5c5/c8c8/c6c6",
    "OSC 11": "\x1b]11;rgb:1e1e/1e1e/2e2e",
    "OSC 11 with alpha": "\x1b]11;rgba:0000/0000/0000/cccc",
    "OSC 12": "\x1b]12;rgb:ffff/0000/0000",
    "OSC 13 to 19": "\x1b]17;rgb:ffff/ffff/0000",
    "OSC 50": "\x1b]50;xft:DejaVu Sans Mono:size=11",
    "OSC 52": "\x1b]52;c;Y2xpcGJvYXJk",
    "OSC 52: nothing": "\x1b]52;;",
    "OSC 52: more than one read": "\x1b]52;c;" + "QUJD" * 2000,
    "OSC 60": "\x1b]60;allowWindowOps,allowColorOps",
    "OSC 61": "\x1b]61;GetSelection,SetSelection",
    "OSC l: title": "\x1b]lvim – Müller.txt 世界",
    "OSC L: icon": "\x1b]Lxterm",
    "OSC 21 of kitty": "\x1b]21;foreground=rgb:ff/00/00;cursor=?",
    "OSC 22 of kitty": "\x1b]22;pointer,1,0",
    "OSC 72 of kitty": "\x1b]72;t=m:x=1:y=2:X=3:Y=4;text/plain",
    "OSC 99 of kitty": "\x1b]99;i=mynotification:p=?;p=title,body:a=focus,report",
    "OSC 5113 of kitty": "\x1b]5113;ac=status;id=test;st=T0s",
    "OSC 5522 of kitty": "\x1b]5522;type=read:status=DATA:mime=dGV4dC9wbGFpbg==;aGVsbG8=",
    "OSC 1337 of iTerm2: cell": "\x1b]1337;ReportCellSize=17.50;8.00;2.0",
    "OSC 1337 of iTerm2: variable": "\x1b]1337;ReportVariable=aGVsbG8=",
    "OSC 1337 of iTerm2: abilities": "\x1b]1337;Capabilities=T3LrMScUw",
    "DA3": "\x1bP!|00000000",
    "XTVERSION": "\x1bP>|XTerm(390)",
    "XTVERSION of kitty": "\x1bP>|kitty(0.35.2)",
    "XTGETTCAP": "\x1bP1+r544E=787465726D2D6B69747479",
    "XTGETTCAP: two": "\x1bP1+r436F=323536;524742=382F382F38",
    "XTGETTCAP: unknown": "\x1bP0+r4142",
    "XTGETXRES": "\x1bP1+R666F6E74=6D6F6E6F",
    "DECRQSS: SGR": "\x1bP1$r0;1;38:2:1:2:3m",
    "DECRQSS: cursor": "\x1bP1$r2 q",
    "DECRQSS: margins": "\x1bP1$r1;40r",
    "DECRQSS: unknown": "\x1bP0$r",
    "DECCIR": "\x1bP1$u1;1;1;@;@;@;0;2;@;BBBB",
    "DECTABSR": "\x1bP2$u9/17/25/33",
    "DECAUPSS": "\x1bP0!u%5",
    "DECCKSR": "\x1bP1!~FF4E",
    "remote control of kitty": '\x1bP@kitty-cmd{"ok": true, "data": "q"}',
    "graphics of kitty": "\x1b_Gi=31;OK",
    "graphics of kitty: a fault": "\x1b_Gi=31,I=7;ENOENT:No such file: q",
}
"""Control strings, which end with ST; OSC with BEL too."""


def in_eight_bits(reply: bytes, is_encoded: bool) -> bytes:
    """``reply`` with its controls in one character each; as bytes of their own, or encoded as UTF-8 has them."""
    for second in b"[]P_\\":
        control = chr(second + 0x40)
        reply = reply.replace(bytes((0x1B, second)), control.encode("utf-8" if is_encoded else "latin-1"))
    return reply


def _every_form() -> dict[str, bytes]:
    whole = REPORTS | {name: text + ST for name, text in STRINGS.items()}
    found = {name: text.encode() for name, text in whole.items()}
    found |= {
        f"{name}, ended by BEL": (text + "\a").encode()
        for name, text in STRINGS.items()
        if text.startswith("\x1b]")
    }
    for name, text in whole.items():
        if name != "VT52":
            found[f"{name}, in eight bits"] = in_eight_bits(text.encode(), is_encoded=False)
            found[f"{name}, in eight bits of UTF-8"] = in_eight_bits(text.encode(), is_encoded=True)
    return found


REPLIES = _every_form()
"""Each of them, in each of its forms."""
