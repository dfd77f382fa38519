"""LINE's checks of flexible messages, by the table that line_notify uses.

src/content/line_schema.h is computed from LINE's OpenAPI description and the
limits of its reference page; this reads it and answers as LINE would, so that
a test of an application sees LINE's 400.  What the table cannot say (what may
stand where, what must agree) is written again here, not taken from the C
code.  Setting "validation": "independent" leaves all of this out and uses
content.py alone, whose rules were written without the table.
"""

import os
import re

HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir,
                      os.pardir, "src", "content", "line_schema.h")

PROPERTY = re.compile(
    r'LN_PROPERTY\((\w+), \d+, (\w+), (\w+), (\w+), (true|false), (\w+), '
    r'(-?\d+), (\d+), (?:"([^"]*)"|NULL), (\w+), "[^"]*"\)')
MEMBER = re.compile(r'LN_MEMBER\((\w+), "(\w+)", (\w+)\)')

COLOR = re.compile(r"#([0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})\Z")
NUMBER = r"[0-9]{1,6}(\.[0-9]+)?"
MEASURES = {
    "LENGTH": re.compile(NUMBER + r"px\Z"),
    "SHARE": re.compile(NUMBER + r"(px|%)\Z"),
    "OFFSET": re.compile(r"[-+]?" + NUMBER + r"(px|%)\Z"),
    "PIXELS": re.compile(NUMBER + r"px\Z"),
}
URL = re.compile(r"[!#-;=?-\[\]_a-z~]+\Z", re.I)
SCHEME = re.compile(r"(https?://[^/?#:@]|line:.|tel:.|mailto:.)", re.I)
APP_SCHEME = re.compile(r"(?!(javascript|vbscript|data|file|ftp):)"
                        r"[a-z][a-z0-9+.-]*://.", re.I)
MOMENTS = {
    "date": re.compile(r"(\d{4})-(\d\d)-(\d\d)\Z"),
    "time": re.compile(r"(\d\d):(\d\d)\Z"),
    "datetime": re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d)\Z"),
}
PICTURES = ("image", "video", "audio", "imagemap", "coupon", "image_carousel")

# what may stand in what
BOX = ("box", "button", "text", "separator", "filler", "image")
BASELINE = ("icon", "text", "filler")


class Table:
    def __init__(self, path=HEADER):
        self.objects, self.unions = {}, {}
        with open(path, encoding="utf-8") as f:
            for line in f:
                found = PROPERTY.match(line)
                if found:
                    (owner, name, kind, ref, required, form, least, most,
                     words, _) = found.groups()
                    self.objects.setdefault(owner, {})[name] = {
                        "kind": kind, "ref": ref,
                        "required": required == "true", "format": form,
                        "least": int(least), "most": int(most),
                        "words": words.split() if words else ()}
                    continue
                found = MEMBER.match(line)
                if found:
                    union, word, owner = found.groups()
                    self.unions.setdefault(union, {})[word] = owner


TABLE = None


def check(messages):
    """Yields (message, property) for each fault of a list of messages."""
    global TABLE
    if TABLE is None:
        TABLE = Table()
    if not isinstance(messages, list) or not 1 <= len(messages) <= 5:
        yield "Size must be between 1 and 5", "messages"
        return
    for i, message in enumerate(messages):
        yield from check_union(message, "Message", "messages[%d]" % i, None)


def one_of(words):
    return "Must be one of the following values: [%s]" % ", ".join(words)


def check_union(value, union, place, inside):
    members = TABLE.unions[union]
    if not isinstance(value, dict):
        yield "Must be an object", place
        return
    kind = value.get("type")
    if kind is None:
        yield "May not be null", place + ".type"
    elif not isinstance(kind, str) or kind not in members \
            or kind in PICTURES:
        yield one_of(w for w in members if w not in PICTURES), place + ".type"
    elif inside and kind not in inside:
        yield "invalid property", place
    else:
        yield from check_object(value, members[kind], place, inside)


def check_object(value, owner, place, inside):
    table = TABLE.objects[owner]
    if not isinstance(value, dict):
        yield "Must be an object", place
        return
    for name, rule in table.items():
        if rule["required"] and value.get(name) is None:
            yield "May not be null", place + "." + name
    for name, inner in value.items():
        where = place + "." + name
        if name not in table:
            # known of Flex Messages; of others, nobody has said
            if owner.startswith("Flex") and owner != "FlexMessage":
                yield "unknown field", where
        elif inner is not None:
            yield from check_value(inner, table[name], where, owner, name,
                                   value, inside)
    if owner in TOGETHER:
        yield from TOGETHER[owner](value, place)


def place_of(owner, name, value, inside):
    """What may stand in this property, by the words of "type"."""
    if owner == "FlexBubble" and name in ("header", "hero", "body", "footer"):
        return ("box",)
    if owner == "FlexBox" and name == "contents":
        return BASELINE if value.get("layout") == "baseline" else BOX
    if owner == "FlexText" and name == "contents":
        return ("span",)
    if owner == "FlexCarousel":
        return ("bubble",)
    return None


def check_value(value, rule, place, owner, name, parent, inside):
    kind = rule["kind"]
    wanted = {"STRING": (str, "string"), "INTEGER": ((int, float), "number"),
              "NUMBER": ((int, float), "number"),
              "BOOLEAN": (bool, "boolean"), "OBJECT": (dict, "object"),
              "UNION": (dict, "object"), "MAP": (dict, "object"),
              "OBJECTS": (list, "array"), "UNIONS": (list, "array")}[kind]
    if not isinstance(value, wanted[0]) or (
            isinstance(value, bool) and kind != "BOOLEAN"):
        yield "Must be a %s" % wanted[1], place
        return
    if kind == "INTEGER":
        if value != int(value) or not rule["least"] <= value < 2**31:
            yield "Must be an integer", place
    elif kind == "STRING":
        yield from check_string(value, rule, place, owner, parent)
    elif kind in ("OBJECTS", "UNIONS", "MAP"):
        if len(value) < rule["least"] or 0 < rule["most"] < len(value):
            yield "Size must be between %d and %d" % (
                rule["least"], rule["most"]), place
    if kind == "OBJECT":
        yield from check_object(value, rule["ref"], place, None)
    elif kind in ("UNION", "UNIONS", "MAP"):
        inner = place_of(owner, name, parent, inside)
        one = [(value, place)]
        if kind == "UNIONS":
            one = [(v, "%s[%d]" % (place, i)) for i, v in enumerate(value)]
        elif kind == "MAP":
            one = [(v, place + "." + k) for k, v in value.items()]
        for v, where in one:
            yield from check_union(v, rule["ref"], where, inner)
            if rule["ref"] == "Action" and isinstance(v, dict):
                yield from check_action(v, owner, name, where)
    elif kind == "OBJECTS":
        for i, v in enumerate(value):
            yield from check_object(v, rule["ref"], "%s[%d]" % (place, i),
                                    None)


def units(text):
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def clusters(text):
    """Not more than what people see as characters."""
    joined = re.sub("\u200d.", "", text)
    return len(re.sub("[\u0300-\u036f\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]", "",
                      joined))


def check_string(value, rule, place, owner, parent):
    form, most = rule["format"], rule["most"]
    length = clusters(value) if form == "TEMPLATE_TEXT" else units(value)
    if most and length > most:
        yield "Length must be between 0 and %d" % most, place
    if form == "DESKTOP_URL" and not value:
        return                      # the description: at least 0 characters
    if form in ("TEXT", "TEMPLATE_TEXT", "NAME", "FULL_DATA",
                "SPAN_TEXT") and not value:
        yield "May not be empty", place
    elif form == "TEXT" and not value.strip():
        yield "May not be empty", place
    elif form == "FLEX_TEXT" and not value and not parent.get("contents"):
        yield "must be non-empty text", place
    elif form == "WORD" and value not in rule["words"]:
        yield one_of(rule["words"]), place
    elif form == "COLOR" and not COLOR.match(value):
        yield "invalid color", place
    elif form in MEASURES and value not in rule["words"] \
            and not MEASURES[form].match(value):
        yield "invalid property", place
    elif form == "PERCENT" and not in_range(value, "%", 100, True):
        yield "invalid property", place
    elif form == "ANGLE" and not in_range(value, "deg", 360, False):
        yield "invalid property", place
    elif form == "RATIO" and not is_ratio(value):
        yield "invalid property", place
    elif form == "IMAGE_URL" and not (
            value.lower().startswith("https://") and URL.match(value)):
        yield "invalid uri scheme", place
    elif form in ("ACTION_URL", "DESKTOP_URL") and not (
            SCHEME.match(value) or APP_SCHEME.match(value)):
        yield "invalid uri scheme", place
    elif form in ("ACTION_URL", "DESKTOP_URL") and (
            not URL.match(value)
            or re.search("%(?![0-9A-Fa-f]{2})", value)):
        yield "invalid uri", place


def in_range(value, unit, limit, closed):
    found = re.match("(" + NUMBER + ")" + unit + r"\Z", value)
    return bool(found) and (float(found.group(1)) < limit
                            or closed and float(found.group(1)) == limit)


def is_ratio(value):
    found = re.match(r"(%s):(%s)\Z" % (NUMBER, NUMBER), value)
    if not found:
        return False
    width, height = float(found.group(1)), float(found.group(3))
    return (1 <= width <= 100000 and 1 <= height <= 100000
            and height <= 3 * width)


# -- what must agree -------------------------------------------------------

def check_action(action, owner, name, place):
    """What depends on where an action stands."""
    kind, label = action.get("type"), action.get("label")
    in_flex = owner.startswith("Flex")
    on_button = owner == "FlexButton" or owner == "QuickReplyItem" \
        or name == "actions"
    if kind == "richmenuswitch" or owner != "QuickReplyItem" and \
            kind in ("camera", "cameraRoll", "location"):
        yield "invalid action type", place + ".type"
    if isinstance(label, str) and clusters(label) > (40 if in_flex else 20):
        yield "Length must be between 1 and %d" % (40 if in_flex else 20), \
            place + ".label"
    elif on_button and not label:
        yield "May not be empty", place + ".label"
    if kind == "uri" and not in_flex and isinstance(action.get("uri"), str) \
            and not SCHEME.match(action["uri"]):
        yield "invalid uri scheme", place + ".uri"
    if kind == "postback" and action.get("text") is not None and (
            action.get("displayText") is not None
            or owner == "QuickReplyItem"):
        yield "Must not be used together with displayText", place + ".text"


def check_bubble(bubble, place):
    if all(bubble.get(name) is None
           for name in ("header", "hero", "body", "footer")):
        yield "At least one block must be specified", place


def check_text(text, place):
    if text.get("text") is None and text.get("contents") is None:
        yield "must be specified", place + ".text"


def check_flex_carousel(carousel, place):
    bubbles = carousel.get("contents")
    sizes = {b.get("size") or "mega" for b in bubbles
             if isinstance(b, dict) and isinstance(b.get("size") or "", str)
             } if isinstance(bubbles, list) else ()
    if len(sizes) > 1:
        yield "bubbles must be of the same size", place + ".contents"


def check_columns(carousel, place):
    columns = carousel.get("columns")
    columns = [c for c in columns if isinstance(c, dict)] \
        if isinstance(columns, list) else []
    if len({len(c["actions"]) for c in columns
            if isinstance(c.get("actions"), list)}) > 1:
        yield "must have the same number of actions", place + ".columns"
    if len({c.get("title") is None for c in columns}) > 1:
        yield "must all have a title, or none", place + ".columns"


def beside_title(template, place):
    if template.get("thumbnailImageUrl") is not None:
        yield "Must not be an image", place + ".thumbnailImageUrl"
    if template.get("title") is not None and \
            isinstance(template.get("text"), str) and \
            clusters(template["text"]) > 60:
        yield "Length must be between 1 and 60", place + ".text"


def check_emojis(message, place):
    text, emojis = message.get("text"), message.get("emojis")
    if not isinstance(text, str) or not isinstance(emojis, list):
        return
    halves = text.encode("utf-16-le", "surrogatepass")
    seen = set()
    for i, emoji in enumerate(emojis):
        index = emoji.get("index") if isinstance(emoji, dict) else None
        if isinstance(index, int) and not isinstance(index, bool) and (
                index < 0 or halves[2 * index:2 * index + 2] != b"$\0"
                or index in seen):
            yield "invalid index", "%s.emojis[%d].index" % (place, i)
        if isinstance(index, int):
            seen.add(index)


def check_substitution(message, place):
    text, given = message.get("text"), message.get("substitution") or {}
    if not isinstance(text, str) or not isinstance(given, dict):
        return
    rest = re.sub(r"\{\{|\}\}", "", text)
    for key in re.findall(r"\{([^{}]*)\}", rest):
        if key not in given:
            yield "no such substitution: " + key[:20], place + ".text"
    if re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", rest)):
        yield "unbalanced brace", place + ".text"
    for key in given:
        if not re.match(r"[0-9A-Za-z_]{1,20}\Z", key):
            yield "invalid key", place + ".substitution"


def check_location(message, place):
    for name, limit in (("latitude", 90), ("longitude", 180)):
        if isinstance(message.get(name), (int, float)) and \
                abs(message[name]) > limit:
            yield "out of range", place + "." + name


def check_sender(sender, place):
    name = sender.get("name")
    if isinstance(name, str) and re.search(
            r"(?<![A-Za-z])LINE(?![A-Za-z])", name):
        yield "contains a word that may not be used", place + ".name"


def check_picker(action, place):
    mode = action.get("mode")
    pattern = MOMENTS.get(mode) if isinstance(mode, str) else None
    if pattern is None:
        return
    values = {}
    for name in ("initial", "min", "max"):
        value = action.get(name)
        if not isinstance(value, str):
            continue
        found = pattern.match(value)
        parts = [int(p) for p in found.groups()] if found else []
        if not found or not is_moment(parts):
            yield "invalid date or time", place + "." + name
        else:
            values[name] = parts
    if "min" in values and "max" in values and values["min"] >= values["max"]:
        yield "max must be greater than min", place + ".max"


def is_moment(parts):
    days = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if len(parts) != 2:
        year, month, day = parts[:3]
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        if not (1900 <= year <= 2100 and 1 <= month <= 12 and
                1 <= day <= days[month - 1] + (month == 2 and leap)):
            return False
        parts = parts[3:]
    return not parts or parts[0] <= 23 and parts[1] <= 59


TOGETHER = {
    "FlexBubble": check_bubble, "FlexText": check_text,
    "FlexCarousel": check_flex_carousel, "CarouselTemplate": check_columns,
    "ButtonsTemplate": beside_title, "CarouselColumn": beside_title,
    "TextMessage": check_emojis, "TextMessageV2": check_substitution,
    "LocationMessage": check_location, "Sender": check_sender,
    "DatetimePickerAction": check_picker,
}
