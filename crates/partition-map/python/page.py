"""Walks through the pages of two partition maps in headless Chromium and prints what it saw, as JSON.

usage: page.py CHROMIUM SMALL.html LARGE.html
"""

import json
import os
import sys

from playwright.sync_api import sync_playwright

chromium, small, large = sys.argv[1:]


def watched(browser, path, **options):
    """A page that is loaded, and lists of what it should not do."""
    page = browser.new_page(**options)
    seen = {"errors": [], "requests": [], "dialogs": []}
    page.on("console", lambda message: seen["errors"].append(message.text))
    page.on("pageerror", lambda error: seen["errors"].append(str(error)))
    page.on("dialog", lambda dialog: (seen["dialogs"].append(dialog.message), dialog.dismiss()))
    url = "file://" + path
    page.on("request", lambda request: request.url == url or seen["requests"].append(request.url))
    page.set_default_timeout(10_000)
    page.goto(url)
    page.wait_for_selector(".row .bar")
    return page, seen


def hint(page):
    return page.locator("#hint p").all_inner_texts()


def settled(page):
    """Waits until what was asked for is drawn: that is done before the frame after the next."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def axis(page):
    settled(page)
    return page.locator("#axis text").all_text_contents()


def lines_shown(page):
    return [page.locator("#shown").inner_text(), page.locator(".row:visible").count()]


def walk_by_mouse(page, seen):
    seen["title"] = page.locator("h1").inner_text()
    seen["labels"] = page.locator(".row").evaluate_all("rows => rows.map(row => row.ariaLabel)")
    bar = page.locator(".row").nth(1).locator(".bar").first
    bar.hover()
    seen["hovered"] = hint(page)
    page.mouse.move(5, 5)
    seen["hint_after_leaving"] = page.locator("#hint").is_visible()
    seen["legend"] = page.locator("#legend").inner_text()
    page.select_option("#color-by", "age")
    seen["legend_by_age"] = page.locator("#legend").inner_text()
    page.select_option("#color-by", "rows")
    page.fill("#filter", "THREAD_spans")
    seen["filtered"] = lines_shown(page)
    page.fill("#filter", "no such name")
    seen["filtered_to_nothing"] = [page.locator("#shown").inner_text(), page.locator("#none").is_visible()]
    page.fill("#filter", "")
    page.check("#planned-only")
    seen["planned_only"] = lines_shown(page)
    page.uncheck("#planned-only")


def width_of_first_bar(page):
    settled(page)
    return float(page.locator(".row").nth(1).locator(".bar").first.get_attribute("width"))


def walk_by_keys(page, seen):
    seen["tab_stops"] = page.locator(".row[tabindex='0']").count()
    page.locator(".row").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    seen["second_bar"] = hint(page)
    seen["said"] = page.locator("#said").inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    seen["last_bar_of_next_row"] = hint(page)
    page.keyboard.press("Home")
    seen["planned_bar"] = hint(page)
    page.keyboard.press("Escape")
    seen["hint_after_escape"] = page.locator("#hint").is_visible()
    seen["axis"] = axis(page)
    whole = width_of_first_bar(page)
    # The first bar of the row is in the middle of nothing: zoom where it is.
    page.locator(".row").nth(1).focus()
    page.keyboard.press("Home")
    page.keyboard.press("+")
    page.keyboard.press("+")
    zoomed = width_of_first_bar(page)
    seen["axis_zoomed"] = axis(page)
    plot = page.locator(".row").nth(1).locator(".plot").bounding_box()
    page.mouse.move(plot["x"] + 300, plot["y"] + 10)
    page.mouse.down()
    page.mouse.move(plot["x"] + 200, plot["y"] + 10, steps=4)
    page.mouse.up()
    seen["axis_dragged"] = axis(page)
    page.keyboard.press("0")
    seen["widths"] = [whole, zoomed, width_of_first_bar(page)]
    page.keyboard.press("/")
    seen["focused_by_slash"] = page.evaluate("document.activeElement.id")


def look(page, seen):
    background = "getComputedStyle(document.body).backgroundColor"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        seen["background_" + scheme] = page.evaluate(background)
    page.set_viewport_size({"width": 360, "height": 700})
    settled(page)
    seen["overflow_at_360"] = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    # Whatever can be operated says what it is.
    seen["names_without_a_label"] = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, [tabindex='0']")]
            .filter((found) => !found.ariaLabel && !found.title && !found.textContent.trim() && !(found.labels || []).length)
            .map((found) => found.outerHTML)"""
    )
    seen["hacked"] = page.evaluate("window.hacked")


def walk_through_large(page, seen):
    seen["rows"] = page.locator(".row").count()
    drawn = "rows => rows.filter(row => row.querySelector('.bar')).length"
    seen["rows_drawn"] = page.locator(".row").evaluate_all(drawn)
    page.locator(".row").last.scroll_into_view_if_needed()
    page.locator(".row").last.locator(".bar").first.wait_for(state="attached")
    seen["bars_of_last_row"] = page.locator(".row").last.locator(".bar").count()
    page.fill("#filter", "000003e7")
    seen["filtered"] = lines_shown(page)


with sync_playwright() as playwright:
    # Chromium's sandbox does not work for root, who runs tests in containers.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
    page, seen_small = watched(browser, small, viewport={"width": 1280, "height": 800}, color_scheme="light")
    walk_by_mouse(page, seen_small)
    walk_by_keys(page, seen_small)
    look(page, seen_small)
    page, seen_large = watched(browser, large, viewport={"width": 1280, "height": 800})
    walk_through_large(page, seen_large)
    browser.close()

json.dump({"small": seen_small, "large": seen_large}, sys.stdout)
