"""Outlines from a source in the reading panel: drawn, kept, and dropped only after saying so."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from annotations.records import Edit, Region
from annotations.regions import shape_box
from annotations.shapes import Shape
from annotations.store import Store
from tests.browser.conftest import READER, PanelPage

pytestmark = pytest.mark.browser

SIZE = (600, 500)
TRIANGLE = Shape("polygon", (((100.5, 120), (300, 140.25), (180, 360)),))
ELLIPSE = Shape("ellipse", (((100, 200), (300, 200), (200, 140), (200, 260)),))


def put_shape(page: PanelPage, name: str, shape: Shape) -> Region:
    """Store a region with an outline in the reader's draft, as an import would."""
    region = Region("r1", "Consolidation", "definite", shape_box(shape, SIZE), "", shape)
    with Store.open(page.server.workspace) as store:
        image = page.server.records[name].image_id
        store.readings.apply(Edit(f"import-{name[:7]}", 1, image, 0, "put", region=region), READER)
    return region


def stored(page: PanelPage, name: str) -> Region:
    (region,) = page.server.reading(name).regions
    return region


def outline_on_screen(page: PanelPage) -> list[float]:
    """Left, top, right and bottom of the drawn outline in picture pixels."""
    left, top = page.point(0, 0)
    scale = float(str(page.panel("p.viewer.picture.view.scale")))
    frame = page.page.locator(".sa-outline").evaluate(
        # Of the path alone, without its stroke.
        """path => { const box = path.getBBox(), m = path.getScreenCTM();
            return [m.e + m.a * box.x, m.f + m.d * box.y,
                    m.e + m.a * (box.x + box.width), m.f + m.d * (box.y + box.height)]; }"""
    )
    origin = [left, top, left, top]
    return [(value - start) / scale for value, start in zip(frame, origin, strict=True)]


@pytest.mark.parametrize(("name", "shape"), [("film-16.png", TRIANGLE), ("film-17.png", ELLIPSE)])
def test_an_outline_is_drawn_where_it_lies_also_while_zoomed(
    page: PanelPage, name: str, shape: Shape
) -> None:
    region = put_shape(page, name, shape)
    page.visit(name)

    assert page.shown() == [list(region.box.corners)]
    assert outline_on_screen(page) == pytest.approx(shape.extent, abs=0.1)
    page.page.mouse.move(*page.point(200, 200))
    page.page.mouse.wheel(0, -600)
    assert outline_on_screen(page) == pytest.approx(shape.extent, abs=0.1)
    what = "an ellipse" if shape.kind == "ellipse" else "an outline"
    x_min, y_min, x_max, y_max = region.box.corners
    expect(page.page.locator(".sa-box")).to_have_attribute(
        "aria-label",
        f"Consolidation, definite, with {what}, x {x_min} to {x_max}, y {y_min} to {y_max} pixels",
    )


def test_other_changes_keep_the_outline(page: PanelPage) -> None:
    name = "film-18.png"
    put_shape(page, name, TRIANGLE)
    page.visit(name)
    page.click(200, 200)
    page.press("8", "e")
    page.saved()

    assert stored(page, name).shape == TRIANGLE
    assert (stored(page, name).finding, stored(page, name).certainty) == ("Fracture", "possible")


def test_a_change_of_the_box_drops_the_outline_only_after_saying_so(page: PanelPage) -> None:
    name = "film-19.png"
    region = put_shape(page, name, TRIANGLE)
    page.visit(name)
    page.click(200, 200)

    page.drag((200, 200), (230, 220))
    expect(page.page.locator(".sa-message")).to_contain_text("an outline from its source")
    assert stored(page, name) == region
    assert page.shown() == [list(region.box.corners)]

    page.drag((200, 200), (230, 220))
    page.saved()
    assert stored(page, name).shape is None
    assert stored(page, name).box.corners == (130, 140, 330, 380)
    expect(page.page.locator(".sa-has-outline")).to_have_count(0)

    page.press("Control+z")
    page.saved()
    assert stored(page, name) == region
    expect(page.page.locator(".sa-has-outline")).to_have_count(1)


def test_an_arrow_key_held_down_does_not_run_over_the_warning(page: PanelPage) -> None:
    name = "film-20.png"
    region = put_shape(page, name, TRIANGLE)
    page.visit(name)
    page.click(200, 200)

    for _ in range(12):  # without a release in between the later ones are repeats
        page.page.keyboard.down("ArrowRight")
    page.page.keyboard.up("ArrowRight")
    expect(page.page.locator(".sa-message")).to_contain_text("an outline from its source")
    assert page.shown() == [list(region.box.corners)]
    assert stored(page, name) == region

    page.press("ArrowRight")
    page.saved()
    assert stored(page, name).shape is None
    assert stored(page, name).box.corners == (101, 120, 301, 360)


def test_a_region_drawn_by_hand_has_no_outline(page: PanelPage) -> None:
    name = "film-21.png"
    page.visit(name)
    page.drag((100, 100), (200, 200))
    page.saved()

    assert stored(page, name).shape is None
    expect(page.page.locator(".sa-has-outline")).to_have_count(0)
