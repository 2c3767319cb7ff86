"""A key must tell items, models and experiments apart, and nothing else."""

from msgspec.structs import replace

from icltui.experiment.item_key import item_key
from icltui.values import ModelInfo
from icltui.values.recipe import Recipe

MODEL = ModelInfo(
    name="a",
    revision=None,
    fingerprint="f",
    architecture="Llama",
    n_layers=1,
    hidden_size=8,
    n_parameters=9,
    dtype="float32",
    device="cpu",
    window=None,
    path="packed",
    versions={},
)
ASKED = {"ids": (1, 2), "recipe": Recipe(), "text": "é"}


def test_it_depends_on_what_is_asked_alone():
    key = item_key("sweep", MODEL, ASKED)
    assert len(key) == 32
    assert key == item_key("sweep", replace(MODEL, name="b", device="cuda"), dict(reversed(ASKED.items())))
    others = [
        item_key("steering", MODEL, ASKED),
        *(
            item_key("sweep", replace(MODEL, **change), ASKED)
            for change in ({"fingerprint": "g"}, {"revision": "main"}, {"dtype": "bfloat16"})
        ),
        item_key("sweep", MODEL, ASKED | {"ids": (1, 3)}),
        item_key("sweep", MODEL, ASKED | {"recipe": Recipe(alpha=0.5)}),
    ]
    assert len({key, *others}) == 7
