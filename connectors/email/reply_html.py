"""The visible reply of an HTML mail: what mail programs wrap quotations in is taken out, the rest is read as text."""

from __future__ import annotations

from typing import Any

from resiliparse.parse.html import HTMLTree

from connectors.email.html import bounded, html_to_text
from connectors.email.quotation import is_forward_mark
from connectors.email.reply import Reply, split_reply

# Who writes them: Gmail, Apple Mail and Thunderbird, Yahoo, Outlook for Mac, Proton, Zoho, Outlook on the web, Mail.ru.
_CONTAINERS = (
    "div.gmail_quote",
    "blockquote[type=cite]",
    ".yahoo_quoted",
    "#OLK_SRC_BODY_SECTION",
    ".protonmail_quote",
    ".zmail_extra",
    "#mail-editor-reference-message-container",
    "div[data-marker=__QUOTED_TEXT__]",
    "div.js-compose-quoted",
)
# Outlook marks where the quotation begins, not what it is: everything behind the mark belongs to it.
_BEGINNINGS = "#divRplyFwdMsg, #appendonsend, #x_divRplyFwdMsg, #x_appendonsend, hr#stopSpelling"
_MAX_CONTAINERS = 200
_MAX_MARKS = 2_000
"""Containers hundreds deep are nobody's answer: all of their text is read as it stands."""
_MAX_SIBLINGS = 5_000
_MARK = ">"


def split_html_reply(html: str) -> Reply:
    """Never raises; linear in the HTML up to the cap of `html_to_text`."""
    html = bounded(html)
    if html.count("quote") > _MAX_MARKS:
        return split_reply(html_to_text(html))
    tree = HTMLTree.parse(html)
    body = tree.body
    if body is None:
        return split_reply(html_to_text(html))
    found = _mark_containers(tree, body) | _mark_after_beginnings(tree, body)
    found |= _mark_last_blockquote(tree, body)
    reply = split_reply(html_to_text(tree), quotes_marked=found)
    if not reply.visible:
        # Nothing is left: the containers say nothing here, and losing all would be worse than keeping too much.
        text = html_to_text(html)
        return Reply(body=text, visible=text)
    return reply


def _mark_containers(tree: HTMLTree, body: Any) -> bool:
    found = False
    for element in body.query_selector_all(", ".join(_CONTAINERS))[:_MAX_CONTAINERS]:
        if not _is_forward(element):
            found |= _replace(tree, element)
    return found


def _mark_last_blockquote(tree: HTMLTree, body: Any) -> bool:
    """Of blockquotes without any sign the last one is the quotation: people indent their own text as well."""
    plain = [element for element in body.query_selector_all("blockquote")[:_MAX_CONTAINERS] if _is_plain(element)]
    if not plain or _is_forward(plain[-1]):
        return False
    return _replace(tree, plain[-1])


def _is_plain(element: Any) -> bool:
    if "gmail_quote" in (element.class_name or ""):
        return False
    parent = element.parent_element
    return parent is None or parent.closest("blockquote") is None


def _mark_after_beginnings(tree: HTMLTree, body: Any) -> bool:
    element = body.query_selector(_BEGINNINGS)
    if element is None or _is_forward(element):
        return False
    for _ in range(_MAX_SIBLINGS):
        after = element.next_sibling
        if after is None:
            break
        after.parent_node.remove_child(after)
    return _replace(tree, element)


def _is_forward(element: Any) -> bool:
    """A forward in the container of a quotation: Gmail uses the same for both."""
    first = (element.text_content or "").strip()[:200].partition("\n")[0]
    return is_forward_mark(first)


def _replace(tree: HTMLTree, element: Any) -> bool:
    """Puts a quotation mark in the element's place, so that the line scanner sees a quotation there."""
    parent = element.parent_node
    mark = tree.create_element("p")
    if parent is None or mark is None:
        return False
    mark.text_content = _MARK
    parent.replace_child(mark, element)
    return True
