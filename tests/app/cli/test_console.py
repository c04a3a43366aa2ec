"""What commands print of other people's text: it can be read, and does nothing else."""

import pytest
from rich.table import Table

from app.cli import console


@pytest.mark.parametrize(
    "control", ["\x1b[2J", "\x9b31m", "\x07", "\r", "\x08", "\u202e", "\u2066", "\u2028", "\x7f"]
)
def test_controls_are_spelt_out(capsys, control):
    table = Table(title=f"over{control}title")
    table.add_column("source")
    table.add_row(f"not {control}attributed")
    console.out.print(table)
    console.out.print(f"line{control}", soft_wrap=True)
    printed = capsys.readouterr().out
    assert control[0] not in printed
    assert printed.count(f"<U+{ord(control[0]):04X}>") == 3


def test_letters_of_all_scripts_stay(capsys):
    text = "été 東京 قطة \U0001f5fc [bold] :cat:"
    console.out.print(text)
    assert capsys.readouterr().out == text + "\n"
