/*-------------------------------------------------------------------------
 *
 * line_schema.h
 *		What LINE takes inside a flexible message.  Generated, do not edit.
 *
 * Source: messaging-api.yml of https://github.com/line/line-openapi,
 * commit b9460c90f10497042d3487bd73cf9bf68ad60ca9 of 2026-06-18,
 * Copyright LY Corporation, Apache License 2.0 (see NOTICE), changed: put
 * into the form of a table, with limits of LINE's reference page added.
 * Command: gen_line_schema.py messaging-api.yml b9460c90f104 2026-06-18
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
 */

LN_OBJECT(AllMentionTarget, 0, 1)
LN_PROPERTY(AllMentionTarget, 0, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(AltUri, 1, 1)
LN_PROPERTY(AltUri, 0, desktop, STRING, None, false, DESKTOP_URL, 0, 1000, NULL, PROPERTY_VALUE, "O R#uri-action")

LN_OBJECT(ButtonsTemplate, 2, 9)
LN_PROPERTY(ButtonsTemplate, 0, text, STRING, None, true, TEMPLATE_TEXT, 0, 160, NULL, PROPERTY_VALUE, "O R#buttons")
LN_PROPERTY(ButtonsTemplate, 1, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(ButtonsTemplate, 2, title, STRING, None, false, TEMPLATE_TEXT, 0, 40, NULL, PROPERTY_VALUE, "O R#buttons")
LN_PROPERTY(ButtonsTemplate, 3, actions, UNIONS, Action, true, ANY, 1, 4, NULL, TEMPLATE_COUNT, "O R#buttons")
LN_PROPERTY(ButtonsTemplate, 4, imageSize, STRING, None, false, WORD, 0, 0, "cover contain", PROPERTY_VALUE, "O R#buttons")
LN_PROPERTY(ButtonsTemplate, 5, defaultAction, UNION, Action, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(ButtonsTemplate, 6, imageAspectRatio, STRING, None, false, WORD, 0, 0, "rectangle square", PROPERTY_VALUE, "O R#buttons")
LN_PROPERTY(ButtonsTemplate, 7, thumbnailImageUrl, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(ButtonsTemplate, 8, imageBackgroundColor, STRING, None, false, COLOR, 0, 0, NULL, PROPERTY_VALUE, "O R#buttons")

LN_OBJECT(CameraAction, 11, 2)
LN_PROPERTY(CameraAction, 0, type, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(CameraAction, 1, label, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(CameraRollAction, 13, 2)
LN_PROPERTY(CameraRollAction, 0, type, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(CameraRollAction, 1, label, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(CarouselColumn, 15, 6)
LN_PROPERTY(CarouselColumn, 0, text, STRING, None, true, TEMPLATE_TEXT, 0, 120, NULL, PROPERTY_VALUE, "O R#column-object-for-carousel")
LN_PROPERTY(CarouselColumn, 1, title, STRING, None, false, TEMPLATE_TEXT, 0, 40, NULL, PROPERTY_VALUE, "O R#column-object-for-carousel")
LN_PROPERTY(CarouselColumn, 2, actions, UNIONS, Action, true, ANY, 1, 3, NULL, TEMPLATE_COUNT, "O R#column-object-for-carousel")
LN_PROPERTY(CarouselColumn, 3, defaultAction, UNION, Action, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(CarouselColumn, 4, thumbnailImageUrl, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(CarouselColumn, 5, imageBackgroundColor, STRING, None, false, COLOR, 0, 0, NULL, PROPERTY_VALUE, "O R#column-object-for-carousel")

LN_OBJECT(CarouselTemplate, 21, 4)
LN_PROPERTY(CarouselTemplate, 0, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(CarouselTemplate, 1, columns, OBJECTS, CarouselColumn, true, ANY, 1, 10, NULL, TEMPLATE_COUNT, "O R#carousel")
LN_PROPERTY(CarouselTemplate, 2, imageSize, STRING, None, false, WORD, 0, 0, "cover contain", PROPERTY_VALUE, "O R#carousel")
LN_PROPERTY(CarouselTemplate, 3, imageAspectRatio, STRING, None, false, WORD, 0, 0, "rectangle square", PROPERTY_VALUE, "O R#carousel")

LN_OBJECT(ClipboardAction, 25, 3)
LN_PROPERTY(ClipboardAction, 0, type, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(ClipboardAction, 1, label, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(ClipboardAction, 2, clipboardText, STRING, None, true, FULL_DATA, 0, 1000, NULL, PROPERTY_VALUE, "O R#clipboard-action")

LN_OBJECT(ConfirmTemplate, 28, 3)
LN_PROPERTY(ConfirmTemplate, 0, text, STRING, None, true, TEMPLATE_TEXT, 0, 240, NULL, PROPERTY_VALUE, "O R#confirm")
LN_PROPERTY(ConfirmTemplate, 1, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(ConfirmTemplate, 2, actions, UNIONS, Action, true, ANY, 2, 2, NULL, TEMPLATE_COUNT, "O R#confirm")

LN_OBJECT(DatetimePickerAction, 31, 7)
LN_PROPERTY(DatetimePickerAction, 0, max, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(DatetimePickerAction, 1, min, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(DatetimePickerAction, 2, data, STRING, None, true, DATA, 0, 300, NULL, PROPERTY_VALUE, "O R#datetime-picker-action")
LN_PROPERTY(DatetimePickerAction, 3, mode, STRING, None, true, WORD, 0, 0, "date time datetime", PROPERTY_VALUE, "O R#datetime-picker-action")
LN_PROPERTY(DatetimePickerAction, 4, type, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(DatetimePickerAction, 5, label, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(DatetimePickerAction, 6, initial, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(Emoji, 38, 3)
LN_PROPERTY(Emoji, 0, index, INTEGER, None, true, ANY, 0, 0, NULL, EMOJI_INDEX, "O R#text-message")
LN_PROPERTY(Emoji, 1, emojiId, STRING, None, true, NAME, 0, 0, NULL, PROPERTY_VALUE, "O R#text-message")
LN_PROPERTY(Emoji, 2, productId, STRING, None, true, NAME, 0, 0, NULL, PROPERTY_VALUE, "O R#text-message")

LN_OBJECT(EmojiSubstitutionObject, 41, 3)
LN_PROPERTY(EmojiSubstitutionObject, 0, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(EmojiSubstitutionObject, 1, emojiId, STRING, None, true, NAME, 0, 0, NULL, PROPERTY_VALUE, "O R#text-message-v2-emoji-object")
LN_PROPERTY(EmojiSubstitutionObject, 2, productId, STRING, None, true, NAME, 0, 0, NULL, PROPERTY_VALUE, "O R#text-message-v2-emoji-object")

LN_OBJECT(FlexBlockStyle, 44, 3)
LN_PROPERTY(FlexBlockStyle, 0, separator, BOOLEAN, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBlockStyle, 1, separatorColor, STRING, None, false, COLOR, 0, 0, NULL, PROPERTY_VALUE, "O R#block-style")
LN_PROPERTY(FlexBlockStyle, 2, backgroundColor, STRING, None, false, COLOR, 0, 0, NULL, PROPERTY_VALUE, "O R#block-style")

LN_OBJECT(FlexBox, 47, 28)
LN_PROPERTY(FlexBox, 0, flex, INTEGER, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O D/flex-message-layout/#component-size")
LN_PROPERTY(FlexBox, 1, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBox, 2, width, STRING, None, false, SHARE, 0, 0, NULL, PROPERTY_VALUE, "O R#box")
LN_PROPERTY(FlexBox, 3, action, UNION, Action, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBox, 4, height, STRING, None, false, SHARE, 0, 0, NULL, PROPERTY_VALUE, "O R#box")
LN_PROPERTY(FlexBox, 5, layout, STRING, None, true, WORD, 0, 0, "horizontal vertical baseline", FLEX_LAYOUT, "O R#box")
LN_PROPERTY(FlexBox, 6, margin, STRING, None, false, LENGTH, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#margin-property")
LN_PROPERTY(FlexBox, 7, spacing, STRING, None, false, LENGTH, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#spacing-property")
LN_PROPERTY(FlexBox, 8, contents, UNIONS, FlexComponent, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBox, 9, maxWidth, STRING, None, false, SHARE, 0, 0, NULL, PROPERTY_VALUE, "O R#box")
LN_PROPERTY(FlexBox, 10, position, STRING, None, false, WORD, 0, 0, "relative absolute", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBox, 11, maxHeight, STRING, None, false, SHARE, 0, 0, NULL, PROPERTY_VALUE, "O R#box")
LN_PROPERTY(FlexBox, 12, offsetEnd, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")
LN_PROPERTY(FlexBox, 13, offsetTop, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")
LN_PROPERTY(FlexBox, 14, alignItems, STRING, None, false, WORD, 0, 0, "center flex-start flex-end", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBox, 15, background, UNION, FlexBoxBackground, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBox, 16, paddingAll, STRING, None, false, SHARE, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#padding-property")
LN_PROPERTY(FlexBox, 17, paddingEnd, STRING, None, false, SHARE, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#padding-property")
LN_PROPERTY(FlexBox, 18, paddingTop, STRING, None, false, SHARE, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#padding-property")
LN_PROPERTY(FlexBox, 19, borderColor, STRING, None, false, COLOR, 0, 0, NULL, PROPERTY_VALUE, "O R#box")
LN_PROPERTY(FlexBox, 20, borderWidth, STRING, None, false, LENGTH, 0, 0, "none light normal medium semi-bold bold", PROPERTY_VALUE, "O R#box")
LN_PROPERTY(FlexBox, 21, offsetStart, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")
LN_PROPERTY(FlexBox, 22, cornerRadius, STRING, None, false, LENGTH, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O R#box")
LN_PROPERTY(FlexBox, 23, offsetBottom, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")
LN_PROPERTY(FlexBox, 24, paddingStart, STRING, None, false, SHARE, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#padding-property")
LN_PROPERTY(FlexBox, 25, paddingBottom, STRING, None, false, SHARE, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#padding-property")
LN_PROPERTY(FlexBox, 26, justifyContent, STRING, None, false, WORD, 0, 0, "center flex-start flex-end space-between space-around space-evenly", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBox, 27, backgroundColor, STRING, None, false, COLOR, 0, 0, NULL, PROPERTY_VALUE, "O R#box")

LN_OBJECT(FlexBoxLinearGradient, 75, 6)
LN_PROPERTY(FlexBoxLinearGradient, 0, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBoxLinearGradient, 1, angle, STRING, None, true, ANGLE, 0, 0, NULL, PROPERTY_VALUE, "O R#box")
LN_PROPERTY(FlexBoxLinearGradient, 2, endColor, STRING, None, true, COLOR, 0, 0, NULL, PROPERTY_VALUE, "O R#box")
LN_PROPERTY(FlexBoxLinearGradient, 3, startColor, STRING, None, true, COLOR, 0, 0, NULL, PROPERTY_VALUE, "O R#box")
LN_PROPERTY(FlexBoxLinearGradient, 4, centerColor, STRING, None, false, COLOR, 0, 0, NULL, PROPERTY_VALUE, "O R#box")
LN_PROPERTY(FlexBoxLinearGradient, 5, centerPosition, STRING, None, false, PERCENT, 0, 0, NULL, PROPERTY_VALUE, "O R#box")

LN_OBJECT(FlexBubble, 81, 9)
LN_PROPERTY(FlexBubble, 0, body, UNION, FlexComponent, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBubble, 1, hero, UNION, FlexComponent, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBubble, 2, size, STRING, None, false, WORD, 0, 0, "nano micro deca hecto kilo mega giga", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBubble, 3, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBubble, 4, action, UNION, Action, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBubble, 5, footer, UNION, FlexComponent, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBubble, 6, header, UNION, FlexComponent, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBubble, 7, styles, OBJECT, FlexBubbleStyles, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBubble, 8, direction, STRING, None, false, WORD, 0, 0, "ltr rtl", PROPERTY_VALUE, "O")

LN_OBJECT(FlexBubbleStyles, 90, 4)
LN_PROPERTY(FlexBubbleStyles, 0, body, OBJECT, FlexBlockStyle, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBubbleStyles, 1, hero, OBJECT, FlexBlockStyle, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBubbleStyles, 2, footer, OBJECT, FlexBlockStyle, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexBubbleStyles, 3, header, OBJECT, FlexBlockStyle, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(FlexButton, 94, 15)
LN_PROPERTY(FlexButton, 0, flex, INTEGER, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O D/flex-message-layout/#component-size")
LN_PROPERTY(FlexButton, 1, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexButton, 2, color, STRING, None, false, COLOR, 0, 0, NULL, PROPERTY_VALUE, "O R#button")
LN_PROPERTY(FlexButton, 3, style, STRING, None, false, WORD, 0, 0, "primary secondary link", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexButton, 4, action, UNION, Action, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexButton, 5, height, STRING, None, false, WORD, 0, 0, "md sm", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexButton, 6, margin, STRING, None, false, LENGTH, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#margin-property")
LN_PROPERTY(FlexButton, 7, gravity, STRING, None, false, WORD, 0, 0, "top bottom center", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexButton, 8, scaling, BOOLEAN, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexButton, 9, position, STRING, None, false, WORD, 0, 0, "relative absolute", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexButton, 10, offsetEnd, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")
LN_PROPERTY(FlexButton, 11, offsetTop, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")
LN_PROPERTY(FlexButton, 12, adjustMode, STRING, None, false, WORD, 0, 0, "shrink-to-fit", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexButton, 13, offsetStart, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")
LN_PROPERTY(FlexButton, 14, offsetBottom, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")

LN_OBJECT(FlexCarousel, 109, 2)
LN_PROPERTY(FlexCarousel, 0, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexCarousel, 1, contents, UNIONS, FlexContainer, true, ANY, 1, 12, NULL, CAROUSEL_COUNT, "O R#f-carousel")

LN_OBJECT(FlexFiller, 111, 2)
LN_PROPERTY(FlexFiller, 0, flex, INTEGER, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O R#filler")
LN_PROPERTY(FlexFiller, 1, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(FlexIcon, 113, 11)
LN_PROPERTY(FlexIcon, 0, url, STRING, None, true, IMAGE_URL, 0, 2000, NULL, PROPERTY_VALUE, "O R#icon")
LN_PROPERTY(FlexIcon, 1, size, STRING, None, false, SHARE, 0, 0, "xxs xs sm md lg xl xxl 3xl 4xl 5xl", PROPERTY_VALUE, "O O FlexIconSize")
LN_PROPERTY(FlexIcon, 2, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexIcon, 3, margin, STRING, None, false, LENGTH, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#margin-property")
LN_PROPERTY(FlexIcon, 4, scaling, BOOLEAN, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexIcon, 5, position, STRING, None, false, WORD, 0, 0, "relative absolute", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexIcon, 6, offsetEnd, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")
LN_PROPERTY(FlexIcon, 7, offsetTop, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")
LN_PROPERTY(FlexIcon, 8, aspectRatio, STRING, None, false, RATIO, 0, 0, NULL, PROPERTY_VALUE, "O R#icon")
LN_PROPERTY(FlexIcon, 9, offsetStart, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")
LN_PROPERTY(FlexIcon, 10, offsetBottom, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")

LN_OBJECT(FlexMessage, 124, 5)
LN_PROPERTY(FlexMessage, 0, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexMessage, 1, sender, OBJECT, Sender, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexMessage, 2, altText, STRING, None, true, TEXT, 0, 1500, NULL, PROPERTY_VALUE, "O R#flex-message")
LN_PROPERTY(FlexMessage, 3, contents, UNION, FlexContainer, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexMessage, 4, quickReply, OBJECT, QuickReply, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(FlexSeparator, 129, 3)
LN_PROPERTY(FlexSeparator, 0, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexSeparator, 1, color, STRING, None, false, COLOR, 0, 0, NULL, PROPERTY_VALUE, "O R#separator")
LN_PROPERTY(FlexSeparator, 2, margin, STRING, None, false, LENGTH, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#margin-property")

LN_OBJECT(FlexSpan, 132, 7)
LN_PROPERTY(FlexSpan, 0, size, STRING, None, false, LENGTH, 0, 0, "xxs xs sm md lg xl xxl 3xl 4xl 5xl", PROPERTY_VALUE, "O O FlexSpanSize")
LN_PROPERTY(FlexSpan, 1, text, STRING, None, false, SPAN_TEXT, 0, 0, NULL, PROPERTY_VALUE, "O R#span")
LN_PROPERTY(FlexSpan, 2, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexSpan, 3, color, STRING, None, false, COLOR, 0, 0, NULL, PROPERTY_VALUE, "O R#span")
LN_PROPERTY(FlexSpan, 4, style, STRING, None, false, WORD, 0, 0, "normal italic", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexSpan, 5, weight, STRING, None, false, WORD, 0, 0, "regular bold", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexSpan, 6, decoration, STRING, None, false, WORD, 0, 0, "none underline line-through", PROPERTY_VALUE, "O")

LN_OBJECT(FlexText, 139, 23)
LN_PROPERTY(FlexText, 0, flex, INTEGER, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O D/flex-message-layout/#component-size")
LN_PROPERTY(FlexText, 1, size, STRING, None, false, LENGTH, 0, 0, "xxs xs sm md lg xl xxl 3xl 4xl 5xl", PROPERTY_VALUE, "O O FlexTextFontSize")
LN_PROPERTY(FlexText, 2, text, STRING, None, false, FLEX_TEXT, 0, 0, NULL, PROPERTY_VALUE, "O R#f-text")
LN_PROPERTY(FlexText, 3, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexText, 4, wrap, BOOLEAN, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexText, 5, align, STRING, None, false, WORD, 0, 0, "start end center", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexText, 6, color, STRING, None, false, COLOR, 0, 0, NULL, PROPERTY_VALUE, "O R#f-text")
LN_PROPERTY(FlexText, 7, style, STRING, None, false, WORD, 0, 0, "normal italic", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexText, 8, action, UNION, Action, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexText, 9, margin, STRING, None, false, LENGTH, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#margin-property")
LN_PROPERTY(FlexText, 10, weight, STRING, None, false, WORD, 0, 0, "regular bold", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexText, 11, gravity, STRING, None, false, WORD, 0, 0, "top bottom center", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexText, 12, scaling, BOOLEAN, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexText, 13, contents, UNIONS, FlexComponent, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(FlexText, 14, maxLines, INTEGER, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O R#f-text")
LN_PROPERTY(FlexText, 15, position, STRING, None, false, WORD, 0, 0, "relative absolute", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexText, 16, offsetEnd, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")
LN_PROPERTY(FlexText, 17, offsetTop, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")
LN_PROPERTY(FlexText, 18, adjustMode, STRING, None, false, WORD, 0, 0, "shrink-to-fit", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexText, 19, decoration, STRING, None, false, WORD, 0, 0, "none underline line-through", PROPERTY_VALUE, "O")
LN_PROPERTY(FlexText, 20, lineSpacing, STRING, None, false, PIXELS, 0, 0, NULL, PROPERTY_VALUE, "O R#f-text")
LN_PROPERTY(FlexText, 21, offsetStart, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")
LN_PROPERTY(FlexText, 22, offsetBottom, STRING, None, false, OFFSET, 0, 0, "none xs sm md lg xl xxl", PROPERTY_VALUE, "O D/flex-message-layout/#component-offset")

LN_OBJECT(LocationAction, 162, 2)
LN_PROPERTY(LocationAction, 0, type, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(LocationAction, 1, label, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(LocationMessage, 164, 7)
LN_PROPERTY(LocationMessage, 0, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(LocationMessage, 1, title, STRING, None, true, TEXT, 0, 100, NULL, PROPERTY_VALUE, "O R#location-message")
LN_PROPERTY(LocationMessage, 2, sender, OBJECT, Sender, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(LocationMessage, 3, address, STRING, None, true, TEXT, 0, 100, NULL, PROPERTY_VALUE, "O R#location-message")
LN_PROPERTY(LocationMessage, 4, latitude, NUMBER, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(LocationMessage, 5, longitude, NUMBER, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(LocationMessage, 6, quickReply, OBJECT, QuickReply, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(MentionSubstitutionObject, 171, 2)
LN_PROPERTY(MentionSubstitutionObject, 0, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(MentionSubstitutionObject, 1, mentionee, UNION, MentionTarget, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(MessageAction, 173, 3)
LN_PROPERTY(MessageAction, 0, text, STRING, None, true, TEXT, 0, 300, NULL, PROPERTY_VALUE, "O R#message-action")
LN_PROPERTY(MessageAction, 1, type, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(MessageAction, 2, label, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(PostbackAction, 176, 7)
LN_PROPERTY(PostbackAction, 0, data, STRING, None, true, DATA, 0, 300, NULL, PROPERTY_VALUE, "O R#postback-action")
LN_PROPERTY(PostbackAction, 1, text, STRING, None, false, DATA, 0, 300, NULL, PROPERTY_VALUE, "O R#postback-action")
LN_PROPERTY(PostbackAction, 2, type, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(PostbackAction, 3, label, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(PostbackAction, 4, fillInText, STRING, None, false, DATA, 0, 300, NULL, PROPERTY_VALUE, "O R#postback-action")
LN_PROPERTY(PostbackAction, 5, displayText, STRING, None, false, DATA, 0, 300, NULL, PROPERTY_VALUE, "O R#postback-action")
LN_PROPERTY(PostbackAction, 6, inputOption, STRING, None, false, WORD, 0, 0, "closeRichMenu openRichMenu openKeyboard openVoice", PROPERTY_VALUE, "O")

LN_OBJECT(QuickReply, 183, 1)
LN_PROPERTY(QuickReply, 0, items, OBJECTS, QuickReplyItem, true, ANY, 1, 13, NULL, QUICK_REPLY_COUNT, "O R#items-object, at least one: A")

LN_OBJECT(QuickReplyItem, 184, 3)
LN_PROPERTY(QuickReplyItem, 0, type, STRING, None, false, WORD, 0, 0, "action", PROPERTY_VALUE, "O R#items-object")
LN_PROPERTY(QuickReplyItem, 1, action, UNION, Action, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O R#items-object")
LN_PROPERTY(QuickReplyItem, 2, imageUrl, STRING, None, false, IMAGE_URL, 0, 2000, NULL, PROPERTY_VALUE, "O R#items-object")

LN_OBJECT(RichMenuSwitchAction, 187, 4)
LN_PROPERTY(RichMenuSwitchAction, 0, data, STRING, None, false, DATA, 0, 300, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(RichMenuSwitchAction, 1, type, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(RichMenuSwitchAction, 2, label, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(RichMenuSwitchAction, 3, richMenuAliasId, STRING, None, false, DATA, 0, 32, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(Sender, 191, 2)
LN_PROPERTY(Sender, 0, name, STRING, None, false, LINE_OF_TEXT, 0, 20, NULL, PROPERTY_VALUE, "O R#change-icon-and-display-name")
LN_PROPERTY(Sender, 1, iconUrl, STRING, None, false, IMAGE_URL, 0, 2000, NULL, PROPERTY_VALUE, "O R#change-icon-and-display-name")

LN_OBJECT(StickerMessage, 193, 6)
LN_PROPERTY(StickerMessage, 0, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(StickerMessage, 1, sender, OBJECT, Sender, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(StickerMessage, 2, packageId, STRING, None, true, NAME, 0, 0, NULL, PROPERTY_VALUE, "O R#sticker-message")
LN_PROPERTY(StickerMessage, 3, stickerId, STRING, None, true, NAME, 0, 0, NULL, PROPERTY_VALUE, "O R#sticker-message")
LN_PROPERTY(StickerMessage, 4, quickReply, OBJECT, QuickReply, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(StickerMessage, 5, quoteToken, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(TemplateMessage, 199, 5)
LN_PROPERTY(TemplateMessage, 0, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(TemplateMessage, 1, sender, OBJECT, Sender, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(TemplateMessage, 2, altText, STRING, None, true, TEXT, 0, 1500, NULL, PROPERTY_VALUE, "O R#template-messages")
LN_PROPERTY(TemplateMessage, 3, template, UNION, Template, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(TemplateMessage, 4, quickReply, OBJECT, QuickReply, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(TextMessage, 204, 6)
LN_PROPERTY(TextMessage, 0, text, STRING, None, true, TEXT, 0, 5000, NULL, PROPERTY_VALUE, "O R#text-message")
LN_PROPERTY(TextMessage, 1, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(TextMessage, 2, emojis, OBJECTS, Emoji, false, ANY, 0, 20, NULL, EMOJIS_COUNT, "O R#text-message")
LN_PROPERTY(TextMessage, 3, sender, OBJECT, Sender, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(TextMessage, 4, quickReply, OBJECT, QuickReply, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(TextMessage, 5, quoteToken, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(TextMessageV2, 210, 6)
LN_PROPERTY(TextMessageV2, 0, text, STRING, None, true, TEXT, 0, 5000, NULL, PROPERTY_VALUE, "O R#text-message-v2")
LN_PROPERTY(TextMessageV2, 1, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(TextMessageV2, 2, sender, OBJECT, Sender, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(TextMessageV2, 3, quickReply, OBJECT, QuickReply, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(TextMessageV2, 4, quoteToken, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(TextMessageV2, 5, substitution, MAP, SubstitutionObject, false, ANY, 0, 100, NULL, SUBSTITUTION_COUNT, "O R#text-message-v2")

LN_OBJECT(URIAction, 216, 4)
LN_PROPERTY(URIAction, 0, uri, STRING, None, true, ACTION_URL, 0, 1000, NULL, PROPERTY_VALUE, "O R#uri-action")
LN_PROPERTY(URIAction, 1, type, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(URIAction, 2, label, STRING, None, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(URIAction, 3, altUri, OBJECT, AltUri, false, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")

LN_OBJECT(UserMentionTarget, 220, 2)
LN_PROPERTY(UserMentionTarget, 0, type, STRING, None, true, ANY, 0, 0, NULL, PROPERTY_VALUE, "O")
LN_PROPERTY(UserMentionTarget, 1, userId, STRING, None, true, NAME, 0, 0, NULL, PROPERTY_VALUE, "O R#text-message-v2-mentionee-user")

LN_UNION(Action)
LN_MEMBER(Action, "camera", CameraAction)
LN_MEMBER(Action, "cameraRoll", CameraRollAction)
LN_MEMBER(Action, "clipboard", ClipboardAction)
LN_MEMBER(Action, "datetimepicker", DatetimePickerAction)
LN_MEMBER(Action, "location", LocationAction)
LN_MEMBER(Action, "message", MessageAction)
LN_MEMBER(Action, "postback", PostbackAction)
LN_MEMBER(Action, "richmenuswitch", RichMenuSwitchAction)
LN_MEMBER(Action, "uri", URIAction)

LN_UNION(FlexBoxBackground)
LN_MEMBER(FlexBoxBackground, "linearGradient", FlexBoxLinearGradient)

LN_UNION(FlexComponent)
LN_MEMBER(FlexComponent, "box", FlexBox)
LN_MEMBER(FlexComponent, "button", FlexButton)
LN_MEMBER(FlexComponent, "image", None)
LN_MEMBER(FlexComponent, "video", None)
LN_MEMBER(FlexComponent, "icon", FlexIcon)
LN_MEMBER(FlexComponent, "text", FlexText)
LN_MEMBER(FlexComponent, "span", FlexSpan)
LN_MEMBER(FlexComponent, "separator", FlexSeparator)
LN_MEMBER(FlexComponent, "filler", FlexFiller)

LN_UNION(FlexContainer)
LN_MEMBER(FlexContainer, "bubble", FlexBubble)
LN_MEMBER(FlexContainer, "carousel", FlexCarousel)

LN_UNION(MentionTarget)
LN_MEMBER(MentionTarget, "user", UserMentionTarget)
LN_MEMBER(MentionTarget, "all", AllMentionTarget)

LN_UNION(Message)
LN_MEMBER(Message, "text", TextMessage)
LN_MEMBER(Message, "textV2", TextMessageV2)
LN_MEMBER(Message, "sticker", StickerMessage)
LN_MEMBER(Message, "image", None)
LN_MEMBER(Message, "video", None)
LN_MEMBER(Message, "audio", None)
LN_MEMBER(Message, "location", LocationMessage)
LN_MEMBER(Message, "imagemap", None)
LN_MEMBER(Message, "template", TemplateMessage)
LN_MEMBER(Message, "flex", FlexMessage)
LN_MEMBER(Message, "coupon", None)

LN_UNION(SubstitutionObject)
LN_MEMBER(SubstitutionObject, "mention", MentionSubstitutionObject)
LN_MEMBER(SubstitutionObject, "emoji", EmojiSubstitutionObject)

LN_UNION(Template)
LN_MEMBER(Template, "buttons", ButtonsTemplate)
LN_MEMBER(Template, "confirm", ConfirmTemplate)
LN_MEMBER(Template, "carousel", CarouselTemplate)
LN_MEMBER(Template, "image_carousel", None)

#undef LN_OBJECT
#undef LN_PROPERTY
#undef LN_UNION
#undef LN_MEMBER

#undef LN_SCHEMA_WIDEST
#undef LN_SCHEMA_LEAST_MESSAGES
#undef LN_SCHEMA_MOST_MESSAGES
#define LN_SCHEMA_WIDEST	28	/* properties of an object */

/* of a request, O PnpMessagesRequest.messages */
#define LN_SCHEMA_LEAST_MESSAGES	1
#define LN_SCHEMA_MOST_MESSAGES		5
