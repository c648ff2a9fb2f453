"""What a learner does with the panels that train nothing."""

import csv
from pathlib import Path

from book import Book
from playwright.sync_api import Locator, expect

EVIL = '<img src=x onerror="window.hacked = 1"><script>window.hacked = 1</script>'


def column(panel: Locator, caption: str, number: int) -> list[str]:
    """A column of the table with this caption."""
    table = panel.locator("table", has_text=caption)
    return table.locator(f"tbody tr > :nth-child({number})").all_inner_texts()


def test_budget_follows_slider_box_and_choice(book: Book) -> None:
    panel = book.show("widgets.Budget('google/flan-t5-base', lk.LoRA(rank=8))")
    expect(panel).to_contain_text("trains 884,736 of")
    expect(panel.locator(".js-plotly-plot")).to_be_visible()  # though it is the first chart of the page
    panel.get_by_role("spinbutton", name="rank").fill("32")
    expect(panel).to_contain_text("trains 3,538,944 of")
    panel.get_by_role("slider", name="rank, slider").fill("16")
    expect(panel).to_contain_text("trains 1,769,472 of")
    panel.get_by_label("method", exact=True).select_option("full")
    expect(panel).to_contain_text("(100 %)")


def test_what_cannot_be_done_is_told_in_a_line(book: Book) -> None:
    panel = book.show("widgets.Budget('nano')")
    panel.get_by_role("spinbutton", name="rank").fill("256")
    expect(panel).to_contain_text("rank 256 is above")
    expect(panel.get_by_role("table")).to_have_count(0)
    assert not book.complaints()


def test_summaries_are_paged_and_searched(book: Book) -> None:
    panel = book.show("widgets.Summaries(table, data, base)")
    dialogue = panel.get_by_role("region", name="dialogue")
    first = dialogue.text_content() or ""
    panel.get_by_role("button", name="Next").click()
    expect(dialogue).not_to_have_text(first)
    panel.get_by_role("button", name="Previous").click()
    expect(dialogue).to_have_text(first)
    panel.get_by_role("textbox", name="search").fill(max(filter(str.isalpha, first.split()), key=len))
    expect(panel).to_contain_text("of 12 dialogues found")
    expect(panel).not_to_contain_text("12 of 12")
    panel.get_by_role("textbox", name="search").fill("no such words")
    expect(panel).to_contain_text("0 of 12 dialogues found")


def test_every_model_summarizes_a_dialogue_of_the_learners(book: Book) -> None:
    panel = book.show("widgets.Summaries(table, data, base)")
    panel.get_by_role("textbox", name="your own dialogue").fill("#Person1#: Are you coming?\n#Person2#: At six.")
    panel.get_by_role("button", name="Summarize").click()
    expect(panel).to_contain_text("4 of 4 models are done", timeout=60_000)
    expect(panel.locator("section", has_text="lead-2").last).to_contain_text("At six.")


def test_text_from_a_file_is_shown_as_text(book: Book) -> None:
    rows = [[f"#Person1#: Hello {EVIL} {i}\n#Person2#: {EVIL} Bye", f"A short {EVIL} summary {i}."] for i in range(40)]
    with (book.server.folder / "evil.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["dialogue", "summary"], *rows])
    told = "odd = lk.load_dialogues('evil.csv')\nread = lk.compare([], base, odd, evaluation=quick)\n"
    for panel in ("widgets.Summaries(read, odd, base)", "widgets.Judge(read, odd)"):
        shown = book.show(told + panel)
        expect(shown).to_contain_text(EVIL)
        expect(shown.locator("img, script")).to_have_count(0)
    shown = book.show(told + "widgets.Summaries(read, odd, base)")
    shown.get_by_role("textbox", name="your own dialogue").fill(f"#Person1#: mine {EVIL}")
    shown.get_by_role("button", name="Summarize").click()
    expect(shown.locator("section", has_text=f"mine {EVIL}")).to_have_count(1, timeout=60_000)
    assert book.page.evaluate("window.hacked") is None


def test_votes_survive_a_reload(book: Book) -> None:
    judge = "widgets.Judge(table, data, 'lead-2', 'base')"
    panel = book.show(judge)
    expect(panel).to_contain_text("0 of 12 pairs judged")
    for number, answer in enumerate(("Left is better", "Equal", "Right is better"), 1):
        panel.get_by_role("button", name=answer).click()
        expect(panel).to_contain_text(f"{number} of 12 pairs judged")
    panel.get_by_role("button", name="Undo last").click()
    expect(panel).to_contain_text("2 of 12 pairs judged")
    open_pair = panel.get_by_role("region", name="dialogue").text_content()
    expect(book.reload()).to_contain_text("2 of 12 pairs judged")
    panel = book.show(judge)
    expect(panel).to_contain_text("2 of 12 pairs judged")
    assert panel.get_by_role("region", name="dialogue").text_content() == open_pair
    panel.get_by_role("button", name="Show result").click()
    expect(panel).to_contain_text("A is lead-2, B is base")
    assert len(column(panel, "Each vote", 1)) == 2


def test_a_comparison_is_saved_as_csv_and_png(book: Book, tmp_path: Path) -> None:
    panel = book.show("widgets.ComparisonPanel(table)")
    whole = panel.locator(".labkit-table-frame", has_text="All of it")
    with book.page.expect_download() as waiting:
        whole.get_by_role("button", name="Save as CSV").click()
    waiting.value.save_as(tmp_path / "saved.csv")
    assert waiting.value.suggested_filename == "comparison.csv"
    saved = list(csv.reader((tmp_path / "saved.csv").read_text(encoding="utf-8").splitlines()))
    assert [line[0] for line in saved[1:]] == column(panel, "All of it", 1)
    rouge = saved[0].index("ROUGE-1")
    assert [f"{float(line[rouge]):.3f}" for line in saved[1:]] == column(panel, "All of it", rouge + 1)
    panel.locator(".js-plotly-plot").first.hover()
    with book.page.expect_download() as waiting:
        panel.get_by_role("button", name="Download plot as a PNG").first.click()
    waiting.value.save_as(tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_sorts_by_the_title_that_is_pressed(book: Book) -> None:
    panel = book.show("widgets.ComparisonPanel(table)")
    panel.locator("table", has_text="All of it").get_by_role("button", name="sort by ROUGE-1", exact=True).click()
    title = panel.locator("th[aria-sort=descending]")
    expect(title).to_have_count(1)
    place = title.evaluate("(cell) => cell.cellIndex")
    shown = [float(cell) for cell in column(panel, "All of it", place + 1)]
    assert shown == sorted(shown, reverse=True)


def test_a_sweep_is_shown_with_what_others_published(book: Book) -> None:
    panel = book.show("widgets.Sweep(ranks)")
    assert column(panel, "ROUGE-1, 95 %", 1) == ["2", "4"]
    published = panel.get_by_label("published")
    published.select_option(index=1)
    expect(panel).to_contain_text("Published: ")
    expect(panel.get_by_role("table")).to_have_count(2)
    published.select_option("none")
    expect(panel.get_by_role("table")).to_have_count(1)


def test_anatomy_shows_the_chosen_layer(book: Book) -> None:
    panel = book.show("widgets.Anatomy(lora)")
    matrices = panel.locator("table", has_text="The matrices of this layer")
    first = matrices.text_content() or ""
    panel.get_by_label("layer", exact=True).select_option(index=1)
    expect(matrices).not_to_have_text(first)
    expect(panel.locator(".js-plotly-plot")).to_have_count(3)


def test_neighbours_shows_as_many_as_the_dial_says(book: Book) -> None:
    panel = book.show("widgets.Neighbours(soft, seed=0)")
    panel.get_by_role("spinbutton", name="neighbours").fill("2")
    cell = panel.locator("table", has_text="Virtual tokens and their nearest").locator("tbody tr >> nth=0")
    expect(cell.locator(":nth-child(4)")).not_to_contain_text(",")
    panel.get_by_label("metric").select_option(index=1)
    expect(panel.locator("thead").first).to_contain_text(
        panel.get_by_label("metric").locator("option").nth(1).inner_text()
    )
