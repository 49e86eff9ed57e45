"""What a visitor sees and does, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omnibus.model import content as c

if TYPE_CHECKING:
    from tests.e2e.webchat.conftest import Page, Site

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63908fdf0f0001de013e8aa58a610000000049454e44ae426082"
)


async def open_and_say(page: Page, text: str) -> None:
    await page.click(".launcher")
    await page.write(text)
    await page.press("Enter")
    await page.until(
        f"texts().includes({text!r}) && $$('.me .meta .vh').every((one) => one.textContent === 'Delivered')"
    )


async def test_a_visitor_writes_gets_a_reply_and_still_has_it_after_a_reload(site: Site, page: Page) -> None:
    await page.goto(site.demo)
    await page.shot("demo")
    await page.click(".launcher")
    await page.until("$('h2').textContent === 'Example Store'")
    await page.shot("open")
    await page.write("Hi! Where is my order 1042? It should be at https://example.com/orders/1042.")
    await page.press("Enter")
    await page.until("$$('.me .meta .vh').some((one) => one.textContent === 'Delivered')")
    await site.typing("Bruno")
    await page.until("$('.typing').textContent === 'Bruno is writing…'")
    await site.reply(c.Text(text="It left our warehouse this morning."))
    await page.until("texts().includes('It left our warehouse this morning.')")
    await page.shot("conversation")
    await page.reload()
    await page.click(".launcher")
    await page.until("texts().includes('It left our warehouse this morning.') && texts().length === 2")

    link = await page.js("$('.me a').href")
    assert link == "https://example.com/orders/1042"


async def test_a_phone_shows_the_whole_chat_on_its_screen(site: Site, page: Page) -> None:
    await page.size(360, 640, phone=True)
    await page.goto(site.demo)
    await page.shot("phone-closed")
    await open_and_say(page, "Oi! Meu pedido 1042 não chegou, vocês podem verificar por favor?")
    options = tuple(
        c.Option(id=str(n), title=title) for n, title in enumerate(("Track it", "Refund", "Talk to a person"))
    )
    await site.reply(c.Choices(text="Of course. What would you like to do?", options=options))
    await page.until("$$('.option').length === 3")
    await page.shot("phone-open")
    box = await page.js(
        "(() => { const b = $('.panel').getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
    )
    fits = await page.js(
        "document.documentElement.scrollWidth <= 360 && $('.log').scrollWidth <= $('.log').clientWidth"
    )
    small = await page.js("$$('button').filter((b) => b.offsetParent && b.getBoundingClientRect().height < 40).length")
    await page.click(".option:nth-child(2)")
    await page.until("texts().includes('Refund') && $('.option').disabled")
    pressed = await page.js("$$('.option').map((one) => one.getAttribute('aria-pressed'))")

    assert box == [0, 0, 360, 640]
    assert fits
    assert small == 0
    assert pressed == ["false", "true", "false"]


async def test_everything_works_with_the_keyboard_alone(site: Site, page: Page) -> None:
    await page.goto(site.demo)
    for _ in range(10):
        await page.press("Tab")
        if await page.js("focused() === 'Open chat'"):
            break
    assert await page.js("$('.launcher').getAttribute('aria-expanded')") == "false"
    await page.press("Enter")
    await page.until("focused() === 'Write a message' && $('.launcher').getAttribute('aria-expanded') === 'true'")
    await page.write("by keyboard")
    await page.press("Tab")
    await page.until("focused() === 'Send'")
    await page.shot("focus")
    await page.press("Tab")
    await page.until("focused() === 'Close chat'")
    await page.press("Tab", shift=True)
    await page.press("Enter")
    await page.until("texts().includes('by keyboard')")
    await page.press("Escape")
    await page.until("$('.panel').hidden && focused() === 'Open chat'")


async def test_two_tabs_are_one_chat(site: Site, page: Page) -> None:
    await page.goto(site.demo)
    await open_and_say(page, "from the first tab")
    other = await page.another_tab()
    await other.goto(site.demo)
    await other.click(".launcher")
    await other.until("texts().includes('from the first tab')")
    await other.write("from the second tab")
    await other.press("Enter")
    await page.until("texts().includes('from the second tab')")
    await site.reply(c.Text(text="Both, please."))

    await page.until("texts().join('|') === 'from the first tab|from the second tab|Both, please.'")
    await other.until("texts().join('|') === 'from the first tab|from the second tab|Both, please.'")


async def test_what_is_written_offline_is_sent_when_the_network_is_back(site: Site, page: Page) -> None:
    await page.goto(site.demo)
    await open_and_say(page, "before")
    await page.offline(True)
    await page.until("!$('.status').hidden && $('.status').textContent.startsWith('Offline')")
    for text in ("in the tunnel", "still in the tunnel"):
        await page.write(text)
        await page.press("Enter")
    await page.until("$$('.me .meta .vh').filter((one) => one.textContent === 'Waiting to be sent').length === 2")
    await page.shot("offline")
    await site.has_received(["before"])
    await page.offline(False)
    await page.until("$$('.me .meta .vh').every((one) => one.textContent === 'Delivered')")

    assert await page.js("texts()") == ["before", "in the tunnel", "still in the tunnel"]
    await site.has_received(["before", "in the tunnel", "still in the tunnel"])


async def test_a_restart_of_the_server_loses_nothing(site: Site, page: Page) -> None:
    await page.goto(site.demo)
    await open_and_say(page, "before the restart")
    await site.stop()
    await page.until("$('.status').textContent.startsWith('Offline')")
    await page.write("while you were away")
    await page.press("Enter")
    await site.start()
    await page.until("$$('.me .meta .vh').every((one) => one.textContent === 'Delivered') && texts().length === 2")

    await site.has_received(["before the restart", "while you were away"])


async def test_an_unsent_message_survives_a_reload(site: Site, page: Page) -> None:
    await page.goto(site.demo)
    await open_and_say(page, "before")
    await page.js("$('textarea').focus()")
    await page.js(
        "Object.defineProperty(navigator, 'onLine', {value: false}) && window.dispatchEvent(new Event('offline'))"
    )
    await page.write("written while offline")
    await page.press("Enter")
    await page.until("$$('.me .meta .vh').some((one) => one.textContent === 'Waiting to be sent')")
    await page.reload()
    await page.click(".launcher")
    await page.until("$$('.me .meta .vh').every((one) => one.textContent === 'Delivered') && texts().length === 2")

    await site.has_received(["before", "written while offline"])


async def test_a_closed_chat_counts_what_was_not_read(site: Site, page: Page) -> None:
    await page.goto(site.demo)
    await open_and_say(page, "call me later")
    await page.press("Escape")
    await site.reply(c.Text(text="One"))
    await site.reply(c.Text(text="Two"))
    await page.until("!$('.badge').hidden && $('.badge').textContent === '2'")
    label = await page.js("$('.launcher').getAttribute('aria-label')")
    await page.shot("unread")
    await page.click(".launcher")
    await page.until("$('.badge').hidden")
    await page.reload()
    await page.until("$('.m .bubble') && texts().includes('Two')")

    assert label == "Open chat (2 unread)"
    assert await page.js("$('.badge').hidden")


async def test_our_side_learns_that_a_reply_was_read(site: Site, page: Page) -> None:
    await page.goto(site.demo)
    await open_and_say(page, "tell me more")
    await page.press("Escape")
    await site.reply(c.Text(text="Here is more."))
    await page.until("!$('.badge').hidden")
    await site.has_delivery("delivered")
    await page.click(".launcher")
    await site.has_delivery("read")
    receipts = [frame["status"] for frame in page.sent if frame["type"] == "receipt"]
    await page.reload()
    await page.click(".launcher")
    await page.until("texts().includes('Here is more.') && $('.status').hidden")
    await page.write("thanks")
    await page.press("Enter")
    await page.until(
        "$$('.me .meta .vh').every((one) => one.textContent === 'Delivered') && texts().includes('thanks')"
    )

    assert receipts == ["delivered", "read"]
    assert [frame["status"] for frame in page.sent if frame["type"] == "receipt"] == receipts


async def test_earlier_messages_come_when_asked_for(site: Site, page: Page) -> None:
    await page.goto(site.demo)
    await open_and_say(page, "the very first")
    for number in range(55):
        await site.reply(c.Text(text=f"number {number}"))
    await page.until("texts().length === 56")
    await page.reload()
    await page.click(".launcher")
    await page.until("texts().length === 50 && !$('.older').hidden")
    await page.js("($('.log').scrollTop = 0, true)")
    await page.click(".older")
    await page.until("texts().length === 56 && $('.older').hidden")

    shown = await page.js("texts()")
    assert shown[0] == "the very first"
    assert set(shown[1:]) == {f"number {number}" for number in range(55)}


async def test_a_picture_is_sent_and_shown(site: Site, page: Page, tmp_path: Path) -> None:
    picture = tmp_path / "receipt.png"
    picture.write_bytes(PNG)
    await page.goto(site.demo)
    await open_and_say(page, "here it is")
    await page.choose_file(picture)
    await page.until(
        "$$('.me .meta .vh').length === 2 && $$('.me .meta .vh').every((one) => one.textContent === 'Delivered')"
    )
    await page.reload()
    await page.click(".launcher")
    await page.until("$('.pic img') && $('.pic img').naturalWidth === 1 && $('.pic img').src.includes('/files/')")

    assert await page.js("$('.pic img').alt") == "receipt.png"


async def test_a_file_of_a_type_that_is_not_taken_is_explained(site: Site, page: Page, tmp_path: Path) -> None:
    script = tmp_path / "setup.exe"
    script.write_bytes(b"MZ")
    await page.goto(site.demo)
    await open_and_say(page, "hi")
    await page.choose_file(script)
    await page.until("$('.notice').textContent === 'This type of file is not accepted.'")
    await page.shot("refused-file")


async def test_markup_is_shown_as_it_was_written(site: Site, page: Page) -> None:
    evil = '<img src=x onerror="window.owned=1"> javascript:alert(1) <b>bold</b>'
    await page.goto(site.demo)
    await page.click(".launcher")
    await page.write(evil)
    await page.press("Enter")
    await page.until("$$('.me .meta .vh').some((one) => one.textContent === 'Delivered')")
    bad = (c.Option(id="a", title="Open", url="javascript:window.owned=1"),)
    await site.reply(c.Choices(text=evil, options=bad))
    await page.until("texts().length === 2")

    assert await page.js("texts()") == [evil, evil]
    assert await page.js("window.owned === undefined && $$('.bubble img, .bubble a, .bubble b').length === 0")
    assert await page.js("$('.option').tagName") == "BUTTON"


async def test_a_page_of_another_site_embeds_the_chat_under_a_strict_policy(site: Site, page: Page) -> None:
    """No cookie travels there: the visitor is known by the token in the page's own storage."""
    await page.goto(f"{site.embedding}/")
    await page.click(".launcher")
    await page.until("$('h2').textContent === 'Example Store'")
    await page.write("Olá da loja")
    await page.press("Enter")
    await page.until("$$('.me .meta .vh').some((one) => one.textContent === 'Entregue')")
    await page.reload()
    await page.click(".launcher")
    await page.until("texts().includes('Olá da loja')")
    await page.shot("embedded-pt")

    assert await page.js("$('textarea').placeholder") == "Escreva uma mensagem"
    assert await page.js("getComputedStyle($('.panel')).display") == "flex"


async def test_dark_and_right_to_left_pages_are_served_well(site: Site, page: Page) -> None:
    await page.prefers(prefers_color_scheme="dark", prefers_reduced_motion="reduce")
    await page.goto(site.demo)
    await page.shot("demo-dark")
    await open_and_say(page, "שלום")
    await site.reply(c.Text(text="It looks good in the dark, too."))
    await page.until("texts().length === 2")
    await page.js("($('[dir]').dir = 'rtl', true)")
    await page.shot("dark-rtl")

    assert await page.js("getComputedStyle($('.panel')).animationName") == "none"
    assert await page.js("$('.launcher').getBoundingClientRect().x < 100")


async def test_words_have_enough_contrast(site: Site, page: Page) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text, in both colour schemes."""
    await page.goto(site.demo)
    await open_and_say(page, "hi")
    await site.reply(c.Text(text="hello"))
    await page.until("texts().length === 2")
    measure = """(() => {
      const rgb = (c) => c.match(/[\\d.]+/g).map(Number);
      const lum = (c) => rgb(c).slice(0, 3).map((v) => v / 255)
        .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const ground = (el) => { for (; el; el = el.parentElement) {
        const c = getComputedStyle(el).backgroundColor; if (rgb(c)[3] !== 0) return c; } return 'rgb(255,255,255)'; };
      return $$('h2, .bubble, .who, .meta time, .status').filter((el) => el.offsetParent).map((el) => {
        const [a, b] = [lum(getComputedStyle(el).color), lum(ground(el))].sort((x, y) => y - x);
        return [el.className || el.tagName, (a + 0.05) / (b + 0.05)]; });
    })()"""
    light = await page.js(measure)
    await page.prefers(prefers_color_scheme="dark")
    dark = await page.js(measure)

    assert [found for found in [*light, *dark] if found[1] < 4.5] == []
    assert len(light) >= 6
