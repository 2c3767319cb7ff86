"""Families of manner: questions that are all answered in one voice."""

from icltui.tasks.family import by_example, pairs

_TRUE = (
    "Is snow cold?; Is fire hot?; Can birds fly?; Is the sky blue?; Do fish swim?; Is grass green?; Is water wet?; "
    "Do dogs bark?; Is ice frozen?; Do cows eat grass?; Is sugar sweet?; Can dogs run?; Do babies cry?; "
    "Is the sun bright?; Do bees make honey?; Is gold a metal?; Do trees have leaves?; Is Paris in France?"
).split("; ")
_FALSE = (
    "Is snow hot?; Is fire cold?; Can pigs fly?; Is the sky green?; Do fish walk?; Is grass red?; Is water dry?; "
    "Do cats bark?; Is ice warm?; Do cows eat meat?; Is sugar sour?; Can stones run?; Do tables cry?; "
    "Is the night bright?; Do ants make honey?; Is wood a metal?; Do cars have leaves?; Is Paris in Japan?"
).split("; ")
_ROBOT = [(text, "AFFIRMATIVE") for text in _TRUE] + [(text, "NEGATIVE") for text in _FALSE]
_PIRATE = pairs(
    """How are you?: Arr, I be well.
    What is your name?: Arr, they call me Redbeard.
    Where do you live?: Arr, on the sea.
    What do you eat?: Arr, fish and bread.
    What do you drink?: Arr, rum.
    Who is your friend?: Arr, me parrot.
    Where is the gold?: Arr, under the sand.
    Do you like rain?: Arr, no.
    Can you sing?: Arr, like a gull.
    How old are you?: Arr, forty summers.
    What do you want?: Arr, treasure.
    Are you tired?: Arr, never.
    Where are we going?: Arr, to the south.
    What is that?: Arr, a ship.
    Do you have a map?: Arr, I do.
    What time is it?: Arr, noon.
    Are you happy?: Arr, very.
    Who is the captain?: Arr, I be.
    Is it far?: Arr, two days.
    What did you see?: Arr, a whale.
    Do you like cats?: Arr, some.
    Can you swim?: Arr, a little.
    What is your job?: Arr, I sail.
    When do we leave?: Arr, at dawn.
    Why are you here?: Arr, for gold.
    Do you read books?: Arr, maps alone.
    What colour is the sea?: Arr, green.
    How was the trip?: Arr, rough.
    Where is your hat?: Arr, in the sea.
    Who made this soup?: Arr, the cook.
    Is the door open?: Arr, it be shut.
    Do you have money?: Arr, a chest of it.
    Can I help you?: Arr, take the rope.
    What is the weather like?: Arr, a storm.
    Do you know the way?: Arr, by the stars.
    Are you hungry?: Arr, as a shark."""
)

MANNERS = (
    by_example("persona", _PIRATE, "Question: {}\nAnswer:", kind="form", right="Arr"),
    by_example("robot", _ROBOT, "Question: {}\nAnswer:", kind="form"),
)
