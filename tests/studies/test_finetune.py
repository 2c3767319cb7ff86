"""The study of fine-tuning: its prompts, its rows, and what they add up to."""

import random

import pytest

from icltui.studies.finetune import N_EXAMPLES, chosen_layers, make_items, shuffle_answers
from icltui.studies.finetune_summary import summarise_finetune
from icltui.tasks.catalogue import families
from icltui.values.finetune import FineTuneRow


@pytest.mark.parametrize("kind", ["embedded", "general"])
def test_items_are_distinct_and_their_query_is_no_example(kind):
    items = make_items([*families(kind)], 40, seed=0)
    assert len({(item.task, item.query, item.examples) for item in items}) == 40
    for item in items:
        assert len(item.examples) == len(item.shuffled) == N_EXAMPLES
        assert item.query not in [query for query, _ in item.examples]
        assert sorted(item.shuffled) == sorted(answer for _, answer in item.examples)
        assert item.shuffled != tuple(answer for _, answer in item.examples)
        assert item.others != item.examples


def test_shuffled_answers_are_each_other_s():
    shuffled = shuffle_answers([f"{k}" for k in range(4)], random.Random(0))
    assert all(k != int(answer) for k, answer in enumerate(shuffled))


def test_layers_of_deep_models_are_few():
    assert chosen_layers(8) == [*range(8)]
    assert chosen_layers(30) == [6, 14, 21, 29]


def test_cosines_are_means_over_prompts_and_their_layers():
    rows = []
    for key, shift in (("a", 0.0), ("b", 0.2)):
        for part, layer in enumerate((3, 7)):
            row = FineTuneRow(
                key=key,
                part=part,
                model="m",
                task="t",
                layer=layer,
                n_rows=400,
                steps=(1, 4),
                rate=0.3,
                cosine=(0.1 + shift, 0.3 + shift + layer),
                cosine_shuffled=(0.0, None),
                cosine_other=(0.0, 0.0),
                size_ratio=(1.0, 2.0),
                training_loss=(1.0, 0.5),
                loss=(2.0 + shift, 1.0),
                loss_shuffled=(2.0, 2.0),
                loss_other=(2.0, 2.0),
                loss_context=0.1,
                loss_plain=3.0,
            )
            rows.append({name: getattr(row, name) for name in row.__struct_fields__})
    summary = summarise_finetune(rows, "?", ())
    cosines, losses, tasks = summary.tables
    assert [row[0] for row in cosines.rows] == [3, 7]
    assert cosines.rows[0][1] == pytest.approx(0.2)
    assert cosines.rows[1][4] == pytest.approx(7.4)
    assert losses.rows[0][:2] == (1, pytest.approx(2.1))
    assert tasks.rows[0][:3] == ("t", 2, pytest.approx(5.4))
    assert "±0.050" in summary.answer[0]
