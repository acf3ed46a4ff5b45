"""What the program knows of itself, as tables."""

import pytest

import sim
from sim.listing import LISTS


@pytest.mark.parametrize("name", LISTS)
def test_a_catalogue_holds_what_the_list_shows(name):
    _, columns, rows = LISTS[name]()
    table = sim.catalogue(name)
    assert [table.index.name, *table.columns] == columns
    assert table.reset_index().values.tolist() == rows


def test_there_are_18_kinds_and_no_list_of_fruit():
    assert len(sim.catalogue("kinds")) == 18
    with pytest.raises(ValueError, match="no list 'fruit'; there are kinds"):
        sim.catalogue("fruit")
