#!/usr/bin/env python3
"""Computes line_schema.h: what LINE takes inside a flexible message.

    python3 src/content/gen_line_schema.py messaging-api.yml COMMIT DATE \
        > src/content/line_schema.h

messaging-api.yml is LINE's own OpenAPI description of its Messaging API,
https://github.com/line/line-openapi (Apache License 2.0); COMMIT and DATE say
which version it is.  Needs PyYAML.

The description has the objects, their properties, types, closed lists of
words, and a few limits.  What LINE's reference page or its guides say beyond
that (limits of length, formats of colours and sizes, what is required) is
ADDED below by hand, each with its source; a row of ADDED names a schema and a
property, so a property that LINE removes or renames stops this script.

Sources are written after each property: O = the OpenAPI description,
R#... = https://developers.line.biz/en/reference/messaging-api/#...,
D/... = https://developers.line.biz/en/docs/messaging-api/..., and A = what
LINE's API is known to answer.
"""

import sys

import yaml


# What no notification message may contain: pictures, sound, advertising.
# message_check refuses these before it looks into them.
FORBIDDEN = {"ImageMessage", "VideoMessage", "AudioMessage",
             "ImagemapMessage", "CouponMessage", "ImageCarouselTemplate",
             "FlexImage", "FlexVideo"}

COMPONENTS = ("FlexBox", "FlexButton", "FlexIcon", "FlexText")
OFFSETS = ("offsetTop", "offsetBottom", "offsetStart", "offsetEnd")

# (schema, property, changes, source)
ADDED = [
    # messages
    ("TextMessage", "text", {"format": "TEXT", "max": 5000}, "R#text-message"),
    ("TextMessage", "emojis", {"max": 20, "rule": "EMOJIS_COUNT"},
     "R#text-message"),
    ("Emoji", "index", {"required": True, "min": 0, "rule": "EMOJI_INDEX"},
     "R#text-message"),
    ("Emoji", "productId", {"required": True, "format": "NAME"},
     "R#text-message"),
    ("Emoji", "emojiId", {"required": True, "format": "NAME"},
     "R#text-message"),
    ("TextMessageV2", "text", {"format": "TEXT", "max": 5000},
     "R#text-message-v2"),
    ("TextMessageV2", "substitution",
     {"max": 100, "rule": "SUBSTITUTION_COUNT"}, "R#text-message-v2"),
    ("EmojiSubstitutionObject", "productId", {"format": "NAME"},
     "R#text-message-v2-emoji-object"),
    ("EmojiSubstitutionObject", "emojiId", {"format": "NAME"},
     "R#text-message-v2-emoji-object"),
    ("UserMentionTarget", "userId", {"format": "NAME"},
     "R#text-message-v2-mentionee-user"),
    ("StickerMessage", "packageId", {"format": "NAME"}, "R#sticker-message"),
    ("StickerMessage", "stickerId", {"format": "NAME"}, "R#sticker-message"),
    ("LocationMessage", "title", {"format": "TEXT", "max": 100},
     "R#location-message"),
    ("LocationMessage", "address", {"format": "TEXT", "max": 100},
     "R#location-message"),
    ("FlexMessage", "altText", {"format": "TEXT", "max": 1500},
     "R#flex-message"),
    ("TemplateMessage", "altText", {"format": "TEXT", "max": 1500},
     "R#template-messages"),
    ("QuickReply", "items",
     {"required": True, "min": 1, "rule": "QUICK_REPLY_COUNT"},
     "R#items-object, at least one: A"),
    ("QuickReplyItem", "type", {"format": "WORD", "values": "action"},
     "R#items-object"),
    ("QuickReplyItem", "action", {"required": True}, "R#items-object"),
    ("QuickReplyItem", "imageUrl", {"format": "IMAGE_URL"}, "R#items-object"),
    ("Sender", "name", {"format": "LINE_OF_TEXT"},
     "R#change-icon-and-display-name"),
    ("Sender", "iconUrl", {"format": "IMAGE_URL"},
     "R#change-icon-and-display-name"),
    # template messages inside a flexible one
    ("ButtonsTemplate", "actions",
     {"min": 1, "max": 4, "rule": "TEMPLATE_COUNT"}, "R#buttons"),
    ("ButtonsTemplate", "title", {"format": "TEMPLATE_TEXT", "max": 40},
     "R#buttons"),
    ("ButtonsTemplate", "text", {"format": "TEMPLATE_TEXT", "max": 160},
     "R#buttons"),
    ("ButtonsTemplate", "imageAspectRatio",
     {"words": "TemplateImageAspectRatio"}, "R#buttons"),
    ("ButtonsTemplate", "imageSize", {"words": "TemplateImageSize"},
     "R#buttons"),
    ("ButtonsTemplate", "imageBackgroundColor", {"format": "COLOR"},
     "R#buttons"),
    ("ConfirmTemplate", "text", {"format": "TEMPLATE_TEXT", "max": 240},
     "R#confirm"),
    ("ConfirmTemplate", "actions",
     {"min": 2, "max": 2, "rule": "TEMPLATE_COUNT"}, "R#confirm"),
    ("CarouselTemplate", "columns",
     {"min": 1, "max": 10, "rule": "TEMPLATE_COUNT"}, "R#carousel"),
    ("CarouselTemplate", "imageAspectRatio",
     {"words": "TemplateImageAspectRatio"}, "R#carousel"),
    ("CarouselTemplate", "imageSize", {"words": "TemplateImageSize"},
     "R#carousel"),
    ("CarouselColumn", "title", {"format": "TEMPLATE_TEXT", "max": 40},
     "R#column-object-for-carousel"),
    ("CarouselColumn", "text", {"format": "TEMPLATE_TEXT", "max": 120},
     "R#column-object-for-carousel"),
    ("CarouselColumn", "actions",
     {"min": 1, "max": 3, "rule": "TEMPLATE_COUNT"},
     "R#column-object-for-carousel"),
    ("CarouselColumn", "imageBackgroundColor", {"format": "COLOR"},
     "R#column-object-for-carousel"),
    # Flex
    ("FlexCarousel", "contents",
     {"min": 1, "max": 12, "rule": "CAROUSEL_COUNT"}, "R#f-carousel"),
    ("FlexBlockStyle", "backgroundColor", {"format": "COLOR"},
     "R#block-style"),
    ("FlexBlockStyle", "separatorColor", {"format": "COLOR"},
     "R#block-style"),
    ("FlexBox", "layout", {"rule": "FLEX_LAYOUT"}, "R#box"),
    ("FlexBox", "spacing", {"format": "LENGTH", "words": "FlexBoxSpacing"},
     "D/flex-message-layout/#spacing-property"),
    ("FlexBox", "backgroundColor", {"format": "COLOR"}, "R#box"),
    ("FlexBox", "borderColor", {"format": "COLOR"}, "R#box"),
    ("FlexBox", "borderWidth",
     {"format": "LENGTH", "words": "FlexBoxBorderWidth"}, "R#box"),
    ("FlexBox", "cornerRadius",
     {"format": "LENGTH", "words": "FlexBoxCornerRadius"}, "R#box"),
    ("FlexBox", "width", {"format": "SHARE"}, "R#box"),
    ("FlexBox", "maxWidth", {"format": "SHARE"}, "R#box"),
    ("FlexBox", "height", {"format": "SHARE"}, "R#box"),
    ("FlexBox", "maxHeight", {"format": "SHARE"}, "R#box"),
    ("FlexBoxLinearGradient", "angle",
     {"required": True, "format": "ANGLE"}, "R#box"),
    ("FlexBoxLinearGradient", "startColor",
     {"required": True, "format": "COLOR"}, "R#box"),
    ("FlexBoxLinearGradient", "endColor",
     {"required": True, "format": "COLOR"}, "R#box"),
    ("FlexBoxLinearGradient", "centerColor", {"format": "COLOR"}, "R#box"),
    ("FlexBoxLinearGradient", "centerPosition", {"format": "PERCENT"},
     "R#box"),
    ("FlexButton", "color", {"format": "COLOR"}, "R#button"),
    ("FlexIcon", "url", {"format": "IMAGE_URL", "max": 2000}, "R#icon"),
    ("FlexIcon", "size", {"format": "SHARE", "words": "FlexIconSize"},
     "O FlexIconSize"),
    ("FlexIcon", "aspectRatio", {"format": "RATIO"}, "R#icon"),
    ("FlexText", "text", {"format": "FLEX_TEXT"}, "R#f-text"),
    ("FlexText", "size", {"format": "LENGTH", "words": "FlexTextFontSize"},
     "O FlexTextFontSize"),
    ("FlexText", "color", {"format": "COLOR"}, "R#f-text"),
    ("FlexText", "lineSpacing", {"format": "PIXELS"}, "R#f-text"),
    ("FlexText", "maxLines", {"min": 0}, "R#f-text"),
    ("FlexSpan", "text", {"format": "SPAN_TEXT"}, "R#span"),
    ("FlexSpan", "size", {"format": "LENGTH", "words": "FlexSpanSize"},
     "O FlexSpanSize"),
    ("FlexSpan", "color", {"format": "COLOR"}, "R#span"),
    ("FlexSeparator", "margin", {"format": "LENGTH", "words": "FlexMargin"},
     "D/flex-message-layout/#margin-property"),
    ("FlexSeparator", "color", {"format": "COLOR"}, "R#separator"),
    ("FlexFiller", "flex", {"min": 0}, "R#filler"),
    # actions; how long a label may be depends on where the action stands
    ("ClipboardAction", "clipboardText", {"format": "FULL_DATA"},
     "R#clipboard-action"),
    ("DatetimePickerAction", "data", {"required": True, "format": "DATA"},
     "R#datetime-picker-action"),
    ("DatetimePickerAction", "mode", {"required": True},
     "R#datetime-picker-action"),
    ("MessageAction", "text",
     {"required": True, "format": "TEXT", "max": 300}, "R#message-action"),
    ("PostbackAction", "data", {"required": True, "format": "DATA"},
     "R#postback-action"),
    ("PostbackAction", "displayText", {"format": "DATA", "max": 300},
     "R#postback-action"),
    ("PostbackAction", "text", {"format": "DATA", "max": 300},
     "R#postback-action"),
    ("PostbackAction", "fillInText", {"format": "DATA", "max": 300},
     "R#postback-action"),
    ("URIAction", "uri",
     {"required": True, "format": "ACTION_URL", "max": 1000},
     "R#uri-action"),
    ("AltUri", "desktop", {"format": "DESKTOP_URL"}, "R#uri-action"),
]
for component in COMPONENTS:
    ADDED.append((component, "margin",
                  {"format": "LENGTH", "words": "FlexMargin"},
                  "D/flex-message-layout/#margin-property"))
    ADDED += [(component, name, {"format": "OFFSET", "words": "FlexOffset"},
               "D/flex-message-layout/#component-offset")
              for name in OFFSETS]
    if component != "FlexIcon":
        ADDED.append((component, "flex", {"min": 0},
                      "D/flex-message-layout/#component-size"))
for side in ("All", "Top", "Bottom", "Start", "End"):
    ADDED.append(("FlexBox", "padding" + side,
                  {"format": "SHARE", "words": "FlexBoxPadding"},
                  "D/flex-message-layout/#padding-property"))


class Schema:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            self.all = yaml.safe_load(f)["components"]["schemas"]
        # member -> its union, for what is chosen by "type"
        self.union_of = {}
        for name, schema in self.all.items():
            for ref in schema.get("discriminator", {}).get(
                    "mapping", {}).values():
                self.union_of[ref.rsplit("/", 1)[1]] = name

    def members(self, union):
        return {word: ref.rsplit("/", 1)[1] for word, ref in
                self.all[union]["discriminator"]["mapping"].items()}

    def is_union(self, name):
        return "discriminator" in self.all[name]

    def merged(self, name):
        """Properties and required names, with those of allOf."""
        schema = self.all[name]
        properties, required = {}, set(schema.get("required", ()))
        for part in schema.get("allOf", ()):
            if "$ref" in part:
                p, r = self.merged(part["$ref"].rsplit("/", 1)[1])
            else:
                p, r = part.get("properties", {}), set(
                    part.get("required", ()))
            properties.update(p)
            required |= r
        properties.update(schema.get("properties", {}))
        return properties, required

    def target(self, ref):
        """The kind of a referred object, and its name.

        A property that may hold one member of a union only (the body of a
        bubble is a box) is checked as the union, and by its place.
        """
        name = ref.rsplit("/", 1)[1]
        name = self.union_of.get(name, name)
        return ("UNION" if self.is_union(name) else "OBJECT"), name


def words_of(schema):
    return " ".join(str(w) for w in schema["enum"])


def property_row(schema, owner, name, spec, required):
    row = {"name": name, "kind": None, "ref": "None", "min": 0, "max": 0,
           "format": "ANY", "values": None, "rule": "PROPERTY_VALUE",
           "required": name in required, "source": ["O"], "owner": owner}
    ref = spec.get("$ref")
    if ref:
        row["kind"], row["ref"] = schema.target(ref)
        return row
    kind = spec["type"]
    if kind == "array":
        item, row["ref"] = schema.target(spec["items"]["$ref"])
        row["kind"] = item + "S"
        row["min"] = spec.get("minItems", 0)
        row["max"] = spec.get("maxItems", 0)
    elif kind == "object":
        item, row["ref"] = schema.target(spec["additionalProperties"]["$ref"])
        assert item == "UNION", name
        row["kind"] = "MAP"
    else:
        row["kind"] = kind.upper()
        if kind == "integer":
            row["min"] = -2**31
    if "enum" in spec:
        row["format"], row["values"] = "WORD", words_of(spec)
    if "maxLength" in spec:
        row["format"], row["max"] = "DATA", spec["maxLength"]
    return row


def main():
    path, commit, date = sys.argv[1:]
    schema = Schema(path)
    added = {}
    for owner, name, changes, source in ADDED:
        assert (owner, name) not in added, (owner, name)
        added[owner, name] = (changes, source)

    # everything within reach of a message
    objects, unions, todo = [], [], ["Message"]
    while todo:
        name = todo.pop(0)
        if name in objects or name in unions or name in FORBIDDEN:
            continue
        if schema.is_union(name):
            unions.append(name)
            todo += schema.members(name).values()
            continue
        objects.append(name)
        for spec in schema.merged(name)[0].values():
            for part in (spec, spec.get("items", {}),
                         spec.get("additionalProperties", {})):
                if "$ref" in part:
                    todo.append(schema.target(part["$ref"])[1])
    objects.sort()
    unions.sort()

    out = [HEAD % {"commit": commit, "date": date}]
    total = widest = 0
    used = set()
    for owner in objects:
        properties, required = schema.merged(owner)
        rows = [property_row(schema, owner, name, spec, required)
                for name, spec in properties.items()]
        # as jsonb orders them: shorter names first
        rows.sort(key=lambda r: (len(r["name"]), r["name"].encode()))
        out.append("\nLN_OBJECT(%s, %d, %d)" % (owner, total, len(rows)))
        total += len(rows)
        widest = max(widest, len(rows))
        for at, row in enumerate(rows):
            change = added.get((owner, row["name"]))
            if change:
                used.add((owner, row["name"]))
                for key, value in change[0].items():
                    if key == "words":
                        row["values"] = words_of(schema.all[value])
                        if row["format"] == "ANY":
                            row["format"] = "WORD"
                    else:
                        row[key] = value
                row["source"].append(change[1])
            out.append("LN_PROPERTY(%s, %d, %s, %s, %s, %s, %s, %d, %d, %s, "
                       "%s, \"%s\")" % (
                           owner, at, row["name"], row["kind"], row["ref"],
                           "true" if row["required"] else "false",
                           row["format"], row["min"], row["max"],
                           '"%s"' % row["values"] if row["values"] else "NULL",
                           row["rule"], " ".join(row["source"])))
    missing = set(added) - used
    if missing:
        sys.exit("no such property in the schema: %s" % sorted(missing))
    for union in unions:
        out.append("\nLN_UNION(%s)" % union)
        for word, name in schema.members(union).items():
            out.append("LN_MEMBER(%s, \"%s\", %s)" % (
                union, word, "None" if name in FORBIDDEN else name))
    messages = schema.all["PnpMessagesRequest"]["properties"]["messages"]
    out.append(TAIL % (widest, messages["minItems"], messages["maxItems"]))
    print("\n".join(out))


HEAD = """\
/*-------------------------------------------------------------------------
 *
 * line_schema.h
 *		What LINE takes inside a flexible message.  Generated, do not edit.
 *
 * Source: messaging-api.yml of https://github.com/line/line-openapi,
 * commit %(commit)s of %(date)s,
 * Copyright LY Corporation, Apache License 2.0 (see NOTICE), changed: put
 * into the form of a table, with limits of LINE's reference page added.
 * Command: gen_line_schema.py messaging-api.yml %(commit).12s %(date)s
 *
 * LN_OBJECT(name, first property, number of properties)
 * LN_PROPERTY(object, position, name, kind, object or union inside, required,
 *			   format, least, most, words, rule, sources)
 * LN_UNION(name), LN_MEMBER(union, value of "type", object; None = forbidden
 *			   in notification messages)
 *
 * Properties stand in the order of jsonb.  Least and most are of the number
 * of elements, of the value of an integer, or of the length of a text in
 * UTF-16 units; most 0 is no limit.  gen_line_schema.py says what the sources
 * mean.  test/mock/schema.py reads this file, too.
 *
 *-------------------------------------------------------------------------
 */"""

TAIL = """
#undef LN_OBJECT
#undef LN_PROPERTY
#undef LN_UNION
#undef LN_MEMBER

#undef LN_SCHEMA_WIDEST
#undef LN_SCHEMA_LEAST_MESSAGES
#undef LN_SCHEMA_MOST_MESSAGES
#define LN_SCHEMA_WIDEST	%d	/* properties of an object */

/* of a request, O PnpMessagesRequest.messages */
#define LN_SCHEMA_LEAST_MESSAGES	%d
#define LN_SCHEMA_MOST_MESSAGES		%d"""

if __name__ == "__main__":
    main()
