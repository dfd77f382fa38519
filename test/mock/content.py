"""LINE's checks of a request body, with LINE's words where they are known.

Each check yields (message, property); the caller makes the 400 answer.  The
sentences "The value must be a valid SHA-256 digest." and the like are LINE's
own; for limits whose sentence is not published, the wording is that of LINE's
other APIs.  Clients must look at the status only: LINE changes the texts.
"""

import json
import re

import schema

SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}\Z")
KEY = re.compile(r"[A-Za-z0-9_]{1,64}\Z")
ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
UNIT = re.compile(r"[A-Za-z0-9_]+\Z")

MESSAGE_TYPES = ("text", "textV2", "sticker", "location", "imagemap",
                 "template", "flex", "image", "video", "audio", "coupon")
# "No images, video, audio" is a rule of notification messages.
FORBIDDEN_TYPES = ("image", "video", "audio", "imagemap", "coupon")
MAX_BUBBLE, MAX_CAROUSEL = 30 * 1024, 50 * 1024


class Fault(Exception):
    """A 400 whose "message" is not the usual count of errors."""

    def __init__(self, message, details=()):
        super().__init__(message)
        self.body = {"message": message}
        if details:
            self.body["details"] = [
                {"message": text, "property": place}
                for text, place in details]


def units(text):
    """Length as LINE counts characters: UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def check(kind, body, config):
    """Raises Fault, or returns silently.  kind: templated | flexible."""
    if not isinstance(body, dict):
        raise Fault("The request body could not be parsed as JSON")
    faults = list(check_to(body))
    if kind == "templated":
        faults += check_templated(body, config["catalogue"])
    else:
        own = list(check_flexible(body, config["strict_content"]))
        faults += own
        if config["validation"] == "schema" and not own:
            found = list(schema.check(body.get("messages")))
            refuse_message(found)
            faults += found
    faults += check_units(body)
    if faults:
        raise Fault("The request body has %d error(s)" % len(faults), faults)


def refuse_message(faults):
    """LINE names what is wrong inside a Flex or template message by a path
    from there: /body/contents/0, template/actions/0/uri."""
    for _, place in faults:
        inside = re.match(r"messages\[(\d+)\]\.(contents|template)\b", place)
        if not inside:
            continue
        details = []
        for text, place in faults:
            start = "messages[%s]." % inside.group(1)
            if place.startswith(start):
                path = re.sub(r"\[(\d+)\]", r"/\1", place[len(start):])
                path = path.replace(".", "/")
                details.append((text, re.sub(r"^contents/?", "/", path)))
        raise Fault("A message (messages[%s]) in the request body is invalid"
                    % inside.group(1), details)


def check_to(body):
    to = body.get("to")
    if to is None:
        yield "May not be null", "to"
    elif not isinstance(to, str) or not SHA256_HEX.match(to):
        yield "The value must be a valid SHA-256 digest.", "to"


def check_units(body):
    names = body.get("customAggregationUnits")
    if names is None:
        return
    if not isinstance(names, list):
        yield "Must be an array", "customAggregationUnits"
        return
    if len(names) > 1:
        yield "Size must be between 0 and 1", "customAggregationUnits"
    for i, name in enumerate(names):
        place = "customAggregationUnits[%d]" % i
        if not isinstance(name, str) or not 1 <= len(name) <= 30:
            yield "Length must be between 1 and 30", place
        elif not UNIT.match(name):
            yield ("Invalid characters are included in custom aggregation "
                   "unit"), place


# -- template messages -----------------------------------------------------

def check_templated(body, catalogue):
    key = body.get("templateKey")
    if not isinstance(key, str) or not key:
        yield "May not be empty", "templateKey"
        return
    if not KEY.match(key) or (catalogue and key not in catalogue["templates"]):
        raise Fault("Invalid templateKey: " + key[:100], [
            ("The specified template doesn't exist, or you don't have the "
             "permission", "templateKey")])
    content = body.get("body")
    if content is None:
        return
    if not isinstance(content, dict):
        yield "Must be an object", "body"
        return
    yield from check_items(content, catalogue)
    yield from check_buttons(content, catalogue)


def check_items(content, catalogue):
    emphasized = content.get("emphasizedItem")
    items = content.get("items")
    if items is None:
        items = []
    if not isinstance(items, list):
        yield "Must be an array", "body.items"
        items = []
    if len(items) > 15:
        yield "Size must be between 0 and 15", "body.items"
    seen = set()
    invalid = []
    for i, item in enumerate(items):
        place = "body.items[%d]" % i
        yield from check_item(item, place, 300, seen, catalogue, invalid)
    if emphasized is not None:
        yield from check_item(emphasized, "body.emphasizedItem", 15, seen,
                              catalogue, invalid)
    if invalid:
        raise Fault("The request body has %d invalid key(s)." % len(invalid),
                    invalid)


def check_item(item, place, limit, seen, catalogue, invalid):
    if not isinstance(item, dict):
        yield "Must be an object", place
        return
    key, content = item.get("itemKey"), item.get("content")
    if not isinstance(key, str) or not key:
        yield "May not be empty", place + ".itemKey"
    elif not KEY.match(key) or (catalogue and key not in catalogue["items"]):
        invalid.append(("The specified item key does not exist: " + key[:100],
                        place + ".itemKey"))
    elif key in seen:
        yield ("Duplicate itemKey in items or between emphasizedItem and "
               "items are not allowed: " + key), place + ".itemKey"
    else:
        seen.add(key)
    yield from check_text(content, place + ".content", limit)


def check_buttons(content, catalogue):
    buttons = content.get("buttons")
    if buttons is None:
        return
    if not isinstance(buttons, list):
        yield "Must be an array", "body.buttons"
        return
    if len(buttons) > 2:
        yield "Size must be between 0 and 2", "body.buttons"
    seen = set()
    for i, button in enumerate(buttons):
        place = "body.buttons[%d]" % i
        if not isinstance(button, dict):
            yield "Must be an object", place
            continue
        key = button.get("buttonKey")
        if not isinstance(key, str) or not key:
            yield "May not be empty", place + ".buttonKey"
        elif not KEY.match(key) or (catalogue
                                    and key not in catalogue["buttons"]):
            raise Fault("The request body has 1 invalid key(s).", [
                ("The specified button key does not exist: " + key[:100],
                 place + ".buttonKey")])
        elif key in seen:
            yield ("Duplicate buttonKey is not allowed: " + key,
                   place + ".buttonKey")
        else:
            seen.add(key)
        yield from check_text(button.get("url"), place + ".url", 1000)
        if isinstance(button.get("url"), str) and button["url"] \
                and not ABSOLUTE.match(button["url"]):
            yield "Must be a URL", place + ".url"


def check_text(text, place, limit):
    if not isinstance(text, str) or not text:
        yield "May not be empty", place
    elif units(text) > limit:
        yield "Length must be between 1 and %d" % limit, place


# -- flexible messages -----------------------------------------------------

def check_flexible(body, strict):
    messages = body.get("messages")
    if not isinstance(messages, list) or not 1 <= len(messages) <= 5:
        yield "Size must be between 1 and 5", "messages"
        return
    if not isinstance(body.get("notificationDisabled"), (bool, type(None))):
        yield "Must be a boolean", "notificationDisabled"
    for i, message in enumerate(messages):
        yield from check_message(message, "messages[%d]" % i, strict)


def check_message(message, place, strict):
    if not isinstance(message, dict):
        yield "Must be an object", place
        return
    kind = message.get("type")
    if kind not in MESSAGE_TYPES or (strict and kind in FORBIDDEN_TYPES):
        allowed = [t for t in MESSAGE_TYPES if t not in FORBIDDEN_TYPES]
        yield ("Must be one of the following values: [%s]"
               % ", ".join(allowed), place + ".type")
        return
    if kind in ("text", "textV2"):
        yield from check_text(message.get("text"), place + ".text", 5000)
    if kind in ("flex", "template"):
        yield from check_text(message.get("altText"), place + ".altText", 1500)
    if kind == "flex":
        yield from check_flex(message.get("contents"), place + ".contents",
                              strict)
    if kind == "location":
        for name in ("title", "address"):
            yield from check_text(message.get(name), place + "." + name, 100)
    reply = message.get("quickReply")
    if isinstance(reply, dict) and isinstance(reply.get("items"), list) \
            and len(reply["items"]) > 13:
        yield "Size must be between 1 and 13", place + ".quickReply.items"


def check_flex(contents, place, strict):
    if not isinstance(contents, dict):
        yield "May not be null", place
        return
    kind = contents.get("type")
    if kind not in ("bubble", "carousel"):
        yield ("Must be one of the following values: [bubble, carousel]",
               place + ".type")
        return
    size = len(json.dumps(contents, ensure_ascii=False,
                          separators=(",", ":")).encode("utf-8", "replace"))
    if size > (MAX_BUBBLE if kind == "bubble" else MAX_CAROUSEL):
        yield "The JSON is too large", place
    if kind == "carousel":
        bubbles = contents.get("contents")
        if not isinstance(bubbles, list) or not 1 <= len(bubbles) <= 12:
            yield "Size must be between 1 and 12", place + ".contents"
    if strict:
        yield from check_no_pictures(contents, place)


def check_no_pictures(node, place):
    if isinstance(node, dict):
        if node.get("type") in ("image", "video"):
            yield "Must not be an image or a video", place + ".type"
        for name, child in node.items():
            if isinstance(child, (dict, list)):
                yield from check_no_pictures(child, place + "." + name)
    else:
        for i, child in enumerate(node):
            if isinstance(child, (dict, list)):
                yield from check_no_pictures(child, "%s[%d]" % (place, i))
