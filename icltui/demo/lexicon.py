"""The words and facts that the embedded model's corpus is made of.

Plain data and one generator of nonce words; no randomness of its own.
"""

import random

NAMES = (
    "Mia Ben Anna Tom Lucy Max Emma Sam Nora Leo Ruth Paul Ida Hugo Clara Finn Eva Oscar Lily Noah "
    "Zoe Carl Alma Jack Rosa Theo Vera Kurt Nina Omar"
).split()
PLACES = (
    "kitchen garden office library cellar attic hall barn school market park forest station museum "
    "bakery harbour tower studio cinema garage"
).split()
COLOURS = "red blue green yellow white black brown pink grey purple orange silver gold violet".split()

CATEGORIES: dict[str, tuple[str, ...]] = {
    "animal": tuple(
        "cat dog horse cow lion tiger bear wolf fox sheep goat rabbit mouse eagle owl frog".split()
    ),
    "plant": tuple(
        "rose tulip oak pine fern moss lily daisy maple birch ivy cactus grass clover palm willow".split()
    ),
    "food": tuple(
        "bread cheese soup rice pasta butter honey cake salad sugar apple pear plum onion carrot egg".split()
    ),
    "tool": tuple(
        "hammer saw drill knife spoon fork shovel rake needle brush chisel axe ladder rope pliers broom".split()
    ),
    "clothing": tuple(
        "shirt coat hat scarf shoe boot glove sock dress skirt belt jacket apron cap sweater vest".split()
    ),
}

CAPITALS: dict[str, str] = dict(
    pair.split(":")
    for pair in (
        "France:Paris Italy:Rome Spain:Madrid Germany:Berlin Egypt:Cairo Japan:Tokyo China:Beijing "
        "Greece:Athens Austria:Vienna Russia:Moscow Poland:Warsaw Norway:Oslo Sweden:Stockholm "
        "Finland:Helsinki Ireland:Dublin Portugal:Lisbon Hungary:Budapest Cuba:Havana Peru:Lima "
        "Kenya:Nairobi India:Delhi Turkey:Ankara Iran:Tehran Iraq:Baghdad Canada:Ottawa England:London "
        "Belgium:Brussels Denmark:Copenhagen Chile:Santiago Thailand:Bangkok Syria:Damascus Vietnam:Hanoi"
    ).split()
)
LANGUAGES: dict[str, str] = dict(
    pair.split(":")
    for pair in (
        "France:French Italy:Italian Spain:Spanish Germany:German Egypt:Arabic Japan:Japanese "
        "China:Chinese Greece:Greek Russia:Russian Poland:Polish Norway:Norwegian Sweden:Swedish "
        "Finland:Finnish Portugal:Portuguese Hungary:Hungarian Turkey:Turkish England:English "
        "Denmark:Danish Thailand:Thai Vietnam:Vietnamese"
    ).split()
)
COLOUR_OF: dict[str, str] = dict(
    pair.split(":")
    for pair in (
        "grass:green snow:white blood:red coal:black gold:yellow chocolate:brown ash:grey "
        "milk:white cherry:red lemon:yellow night:black sky:blue sea:blue leaf:green"
    ).split()
)
OPPOSITES: dict[str, str] = dict(
    pair.split(":")
    for pair in (
        "hot:cold big:small up:down left:right old:new day:night open:closed fast:slow high:low "
        "long:short wet:dry hard:soft light:dark full:empty rich:poor early:late strong:weak "
        "true:false first:last near:far loud:quiet clean:dirty thick:thin good:bad"
    ).split()
)
FRENCH: dict[str, str] = dict(
    pair.split(":")
    for pair in (
        "hot:chaud big:grand up:haut left:gauche old:vieux day:jour open:ouvert fast:vite high:haut "
        "long:long wet:humide hard:dur light:clair full:plein rich:riche early:tot strong:fort "
        "true:vrai first:premier near:proche loud:fort clean:propre thick:gros good:bon"
    ).split()
)
MONTHS = ("January February March April May June July August September October November December").split()

WORDS: tuple[str, ...] = tuple(
    dict.fromkeys(
        [word for words in CATEGORIES.values() for word in words] + COLOURS + PLACES + list(OPPOSITES) + NAMES
    )
)

_ONSETS = "b d f g k l m n p r s t v w z bl dr fr gl kr pl sk sn st tr".split()
_VOWELS = "a e i o u".split()
_CODAS = ["", "", "b", "d", "g", "k", "l", "m", "n", "p", "r", "s", "t", "x"]


def nonce_word(rng: random.Random) -> str:
    """One or two invented syllables, such as ``dax`` or ``blikop``; about 1.7 million in all."""
    syllables = (
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(rng.choice((1, 2, 2)))
    )
    return "".join(syllables)


def nonce_words(rng: random.Random, count: int) -> list[str]:
    """``count`` distinct nonce words."""
    words: dict[str, None] = {}
    while len(words) < count:
        words[nonce_word(rng)] = None
    return list(words)
