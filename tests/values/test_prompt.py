"""Layer texts: read, written, refused."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from icltui.values.errors import BadInput
from icltui.values.prompt import MOST_BYTES, check_size, layers_text, resolve_layers


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("all", (0, 1, 2, 3, 4, 5)),
        ("none", ()),
        (" Last ", (5,)),
        ("0", (0,)),
        ("0,3-5", (0, 3, 4, 5)),
        ("5, 3 - 4 ,3", (3, 4, 5)),
        ("2-2", (2,)),
    ],
)
def test_layers_are_read(text: str, layers: tuple[int, ...]) -> None:
    assert resolve_layers(text, 6) == layers


@pytest.mark.parametrize("text", ["", ",", "x", "0,", "1--2", "-1", "1.5", "0-", "0-x", "all,1", "²"])
def test_what_is_no_layers_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(BadInput, match="write all, none, last, or a list such as 0,3,5-8"):
        resolve_layers(text, 6)


@pytest.mark.parametrize("text", ["6", "0,6", "3-6", "1000000000000"])
def test_layers_that_the_model_lacks_are_refused_with_those_it_has(text: str) -> None:
    with pytest.raises(BadInput, match="this model has layers 0 to 5"):
        resolve_layers(text, 6)


def test_layers_that_run_backwards_are_refused_with_the_right_way_round() -> None:
    with pytest.raises(BadInput, match="layers '4-3' run backwards: write 3-4"):
        resolve_layers("0,4-3", 6)


REFUSED = {2: "too large an error", 5: "no MLP"}


@pytest.mark.parametrize(
    ("text", "layers"), [("all", (0, 1, 3, 4)), ("last", (4,)), ("none", ()), ("0-1,4", (0, 1, 4))]
)
def test_refused_layers_are_no_part_of_all_and_last(text: str, layers: tuple[int, ...]) -> None:
    assert resolve_layers(text, 6, REFUSED) == layers


@pytest.mark.parametrize("text", ["2", "1-3", "5,2"])
def test_a_refused_layer_may_not_be_named(text: str) -> None:
    with pytest.raises(BadInput, match="layer 2 cannot be used: too large an error: leave it out"):
        resolve_layers(text, 6, REFUSED)


def test_the_last_of_no_usable_layer_is_none() -> None:
    assert resolve_layers("last", 1, {0: "no MLP"}) == ()


@given(st.integers(1, 40), st.data())
def test_texts_of_layers_are_read_back(n_layers: int, data: st.DataObject) -> None:
    layers = data.draw(st.lists(st.integers(0, n_layers - 1)))
    assert resolve_layers(layers_text(layers, n_layers), n_layers) == tuple(sorted(set(layers)))


@given(st.text("0123456789-, alnost", max_size=12))
@example("0-,1")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        layers = resolve_layers(text, 6)
    except BadInput:
        return
    assert layers == tuple(sorted(set(layers)))
    assert set(layers) <= set(range(6))


@pytest.mark.parametrize(
    ("layers", "text"),
    [((), "none"), (range(6), "all"), ((5,), "5"), ((2, 1, 0, 5), "0-2,5"), ((0, 2), "0,2")],
)
def test_the_shortest_text_is_written(layers: tuple[int, ...], text: str) -> None:
    assert layers_text(layers, 6) == text


@pytest.mark.parametrize("character", ["a", "é"])
def test_the_longest_text_is_accepted_and_one_byte_more_is_not(character: str) -> None:
    longest = character * (MOST_BYTES // len(character.encode()))
    check_size(longest, "the context")
    with pytest.raises(BadInput, match="shorten it"):
        check_size(longest + "a", "the context")


@pytest.mark.parametrize("text", ["0-4095," * 500_000 + "1", "0," * 2_000_000, "x" * 4_000_000])
def test_a_list_of_layers_takes_no_time_however_long(text: str) -> None:
    start = time.process_time()
    with pytest.raises(BadInput) as refused:
        resolve_layers(text, 4096)
    assert time.process_time() - start < 2
    assert len(str(refused.value)) < 300
