"""Forty prompts of eleven kinds, on which the parts of a patch are compared.

Each context says something that the query alone does not: a rule shown by example, a fact against what the weights
know, a form, a voice, a story. Written for this purpose; no model's answers were looked at.
"""

from collections.abc import Mapping

from icltui.values.prompt import Prompt

_TEXTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "contradicted facts": (
        ("The capital of France is Rome. The capital of Spain is Cairo.", " The capital of France is"),
        ("In this story the sky is green and the grass is blue.", " In this story the colour of the sky is"),
        ("Here two plus two is five, and three plus three is seven.", " Two plus two is"),
        ("On this planet dogs say meow and cats say woof.", " The dog at the door says"),
    ),
    "labels": (
        ("great film: good\nawful acting: bad\nlovely music: good\nboring plot: bad\n", "wonderful story:"),
        ("apple: fruit\ncarrot: vegetable\npear: fruit\nonion: vegetable\n", "banana:"),
        ("hammer -> A\ntiger -> B\nsaw -> A\nlion -> B\n", "horse ->"),
        ("7: odd\n12: even\n3: odd\n8: even\n", "5:"),
    ),
    "antonyms": (
        ("hot -> cold\nbig -> small\nfast -> slow\n", "high ->"),
        ("open: close\nbuy: sell\nwin: lose\n", "push:"),
        ("The opposite of day is night. The opposite of wet is dry.", " The opposite of left is"),
        ("light / dark\nrich / poor\nearly / late\n", "young /"),
    ),
    "plurals": (
        ("cat, cats\nbox, boxes\nchild, children\n", "mouse,"),
        ("one leaf, two leaves; one knife, two knives;", " one wolf, two"),
        ("dog -> dogs\ncity -> cities\nfoot -> feet\n", "man ->"),
    ),
    "translations of numbers": (
        ("one = un\ntwo = deux\nthree = trois\n", "four ="),
        ("1 is eins, 2 is zwei, 3 is drei,", " 4 is"),
        ("uno: 1\ndos: 2\ntres: 3\n", "cuatro:"),
        ("I -> 1\nV -> 5\nX -> 10\n", "II ->"),
    ),
    "formats": (
        ('{"name": "Anna", "age": 31}\n{"name": "Boris", "age": 42}\n', '{"name": "Clara",'),
        ("2021-03-04 -> 4 March 2021\n2019-07-15 -> 15 July 2019\n", "2020-05-09 ->"),
        ("| fruit | colour |\n|---|---|\n| cherry | red |\n| lemon | yellow |\n", "| lime |"),
        ("NAME=Ada;ROLE=engineer\nNAME=Bob;ROLE=painter\n", "NAME=Cleo;"),
    ),
    "a persona": (
        (
            "You are a pirate. You end every sentence with Arrr.\nHow are you? I am well. Arrr.\n",
            "What is the time? It is noon.",
        ),
        (
            "A robot that speaks in capital letters answers.\nHELLO HUMAN. I AM READY.\n",
            "What is your name? MY NAME",
        ),
        ("The teacher is called Mr Lopez. He teaches chess and lives in Oslo.\n", "Hello, my name is"),
    ),
    "prose": (
        (
            "The old lighthouse had been dark for years. That night, Martha saw its lamp burning again.",
            " She took her coat and walked to the",
        ),
        (
            "It had rained for three days, and the river was rising. The farmers moved their cows uphill.",
            " By the evening, the water had",
        ),
        (
            "Tom lost his red kite in the storm. His sister Eva promised to help him.",
            " The next morning they found the",
        ),
        (
            "The recipe is simple: flour, butter, sugar and two eggs. Mix the butter with the sugar first.",
            " Then add the",
        ),
    ),
    "code": (
        (
            "def double(x):\n    return x * 2\n\ndef triple(x):\n    return x * 3\n\n",
            "def quadruple(x):\n    return",
        ),
        ("colors = ['red', 'green', 'blue']\n", "for color in"),
        (
            "class Stack:\n    def __init__(self):\n        self.items = []\n\n"
            "    def push(self, item):\n        self.items.append(item)\n\n",
            "    def pop(self):\n        return",
        ),
        ("SELECT name, price FROM products WHERE price > 10;\n", "SELECT name FROM"),
    ),
    "dialogue": (
        (
            "Waiter: What would you like?\nGuest: I would like the fish, please.\nWaiter: And to drink?\n",
            "Guest: I would like",
        ),
        ("Anna: Did you feed the parrot?\nBen: No, I fed the cat.\n", "Anna: Then please feed the"),
        (
            "Doctor: Where does it hurt?\nPatient: My left knee hurts when I run.\n",
            "Doctor: I will look at your",
        ),
    ),
    "facts from a document": (
        (
            "The museum opened in 1874. It is closed on Mondays, and a ticket costs nine euros.",
            " The museum is closed on",
        ),
        (
            "The Veltra pump is made by Osmund Works in Graz. Its warranty lasts six years.",
            " The warranty of the Veltra pump lasts",
        ),
        ("Mia moved to the attic. Ben is in the garden. Lucy is in the kitchen.", " Mia is in the"),
    ),
}

PROMPTS: tuple[tuple[str, Prompt], ...] = tuple(
    (kind, Prompt(context=context, query=query)) for kind, texts in _TEXTS.items() for context, query in texts
)
"""The kind of each prompt, and the prompt."""
