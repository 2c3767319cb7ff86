"""The program's own themes, dark and light: calm greys, and one accent, which is where the ramp of shades ends.

The eye goes to what is the accent: the pane in focus, the keys, a peak. Selection is a grey, so that a cursor does not
outshine the number it is at.
"""

from textual.theme import Theme

DARK = Theme(
    name="icltui-dark",
    dark=True,
    background="#14161a",
    surface="#1a1d22",
    panel="#1f2329",
    boost="#262b33",
    foreground="#d5d9e0",
    primary="#8a94a6",
    secondary="#6b7687",
    accent="#e3c64c",
    warning="#d9935f",
    error="#d8646c",
    success="#87b58c",
    luminosity_spread=0.12,
    variables={
        "block-cursor-background": "#343c49",
        "block-cursor-foreground": "#f5f6f8",
        "block-cursor-blurred-background": "#272d36",
        "block-cursor-blurred-foreground": "#d5d9e0",
        "border": "#e3c64c",
        "border-blurred": "#3a414c",
        "scrollbar": "#3a414c",
        "scrollbar-hover": "#4a5361",
        "scrollbar-active": "#e3c64c",
        "scrollbar-background": "#181b20",
        "footer-background": "#1a1d22",
        "footer-key-foreground": "#e3c64c",
        "input-selection-background": "#46536a",
        "link-background-hover": "#343c49",
        "link-style": "none",
    },
)
LIGHT = Theme(
    name="icltui-light",
    dark=False,
    background="#fafaf7",
    surface="#f2f2ee",
    panel="#e9e9e4",
    boost="#dfdfd9",
    foreground="#23272e",
    primary="#5d6675",
    secondary="#7b8494",
    accent="#173f7a",
    warning="#a2581f",
    error="#b3303c",
    success="#39764a",
    luminosity_spread=0.12,
    variables={
        "block-cursor-background": "#ccd4e0",
        "block-cursor-foreground": "#14161a",
        "block-cursor-blurred-background": "#dfe3ea",
        "block-cursor-blurred-foreground": "#23272e",
        "border": "#173f7a",
        "border-blurred": "#c3c6cb",
        "scrollbar": "#c3c6cb",
        "scrollbar-hover": "#a9aeb6",
        "scrollbar-active": "#173f7a",
        "scrollbar-background": "#f0f0ec",
        "footer-background": "#f2f2ee",
        "footer-key-foreground": "#173f7a",
        "input-selection-background": "#bccbe2",
        "link-background-hover": "#ccd4e0",
        "link-style": "none",
    },
)
THEMES = (DARK, LIGHT)
