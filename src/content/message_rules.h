/*-------------------------------------------------------------------------
 *
 * message_rules.h
 *		Every content rule: name, severity, who is at fault, description.
 *
 * Included with LN_RULE(symbol, name, severity, fault, description) defined.
 * Names are an interface: applications branch on them, so a released name is
 * never changed or given another meaning.
 *
 * Severity goes by evidence.  What LINE's OpenAPI description excludes, what
 * its reference limits, what its API is known to answer with 400, or what the
 * rules of notification messages forbid, is an ERROR.  What LINE merely
 * advises against, or what we know from elsewhere, is a WARNING: a wrong
 * warning costs nothing, a wrong error costs a message.
 *
 * Fault: STATEMENT is a mistake in the program (structure, keys, kinds), ROW
 * is a value that comes from data (empty, too long, bad characters), which
 * must not roll back the order it belongs to.
 *
 *-------------------------------------------------------------------------
 */

/* the request as a whole */
LN_RULE(PAYLOAD_TYPE, "payload_type", ERROR, STATEMENT,
		"the payload, body or list of messages has the wrong JSON type")
LN_RULE(TO_NOT_ALLOWED, "to_not_allowed", ERROR, STATEMENT,
		"the payload must not contain \"to\": the outbox fills it in")
LN_RULE(WRONG_KIND, "wrong_kind", ERROR, STATEMENT,
		"a property belongs to the other kind of message")
LN_RULE(JSON_TOO_DEEP, "json_too_deep", ERROR, STATEMENT,
		"the JSON is nested deeper than 100 levels")
LN_RULE(JSON_TOO_MANY_VALUES, "json_too_many_values", ERROR, STATEMENT,
		"the JSON has more than 100000 values")
LN_RULE(NUMBER_OUT_OF_RANGE, "number_out_of_range", ERROR, STATEMENT,
		"a number has more digits than LINE could read")
LN_RULE(REQUEST_TOO_LARGE, "request_too_large", ERROR, ROW,
		"the request is larger than 2 MB")
LN_RULE(NOTIFICATION_DISABLED, "notification_disabled", WARNING, STATEMENT,
		"notificationDisabled is not documented for template messages")
LN_RULE(AGGREGATION_UNITS_COUNT, "aggregation_units_count", ERROR, STATEMENT,
		"more than one aggregation unit")
LN_RULE(AGGREGATION_UNIT_INVALID, "aggregation_unit_invalid", ERROR, STATEMENT,
		"an aggregation unit is not 1 to 30 letters, digits and underscores")
LN_RULE(TOO_MANY_FINDINGS, "too_many_findings", WARNING, STATEMENT,
		"there are more findings than are listed")

/* any property */
LN_RULE(PROPERTY_MISSING, "property_missing", ERROR, STATEMENT,
		"a required property is missing")
LN_RULE(PROPERTY_TYPE, "property_type", ERROR, STATEMENT,
		"a property has the wrong JSON type")
LN_RULE(PROPERTY_MISSPELT, "property_misspelt", WARNING, STATEMENT,
		"a property looks like a documented one in other letters; an error "
		"where the channel refuses unknown content")
LN_RULE(PROPERTY_UNKNOWN, "property_unknown", WARNING, STATEMENT,
		"LINE documents no such property here; an error where the channel "
		"refuses unknown content")
LN_RULE(PROPERTY_VALUE, "property_value", ERROR, STATEMENT,
		"a property has a value outside of what LINE documents: a word, a "
		"colour, a size, a whole number")
LN_RULE(PROPERTY_CONFLICT, "property_conflict", ERROR, STATEMENT,
		"two properties exclude each other, or one is not allowed in this "
		"place")
LN_RULE(PROPERTY_IGNORED, "property_ignored", WARNING, STATEMENT,
		"a property has no effect in this place")
LN_RULE(PROPERTY_ADVISED, "property_advised", WARNING, STATEMENT,
		"LINE wants a property that its schema does not require")

/* any text */
LN_RULE(VALUE_NULL, "value_null", ERROR, ROW,
		"a required text is null")
LN_RULE(VALUE_EMPTY, "value_empty", ERROR, ROW,
		"a required text is empty")
LN_RULE(VALUE_BLANK, "value_blank", ERROR, ROW,
		"a required text consists of blanks only")
LN_RULE(VALUE_TOO_LONG, "value_too_long", ERROR, ROW,
		"a text is longer than LINE allows, counted in UTF-16 units")
LN_RULE(INVALID_UTF8, "invalid_utf8", ERROR, ROW,
		"a text is not valid UTF-8")
LN_RULE(CONTROL_CHARACTER, "control_character", WARNING, ROW,
		"a text contains a control character")
LN_RULE(TAB_OR_RETURN, "tab_or_return", WARNING, ROW,
		"a text contains a tab or a carriage return, which may show as a "
		"blank or a box")
LN_RULE(LINE_BREAK, "line_break", WARNING, ROW,
		"a value of a template contains a line break, which may not be "
		"shown")
LN_RULE(BIDI_CONTROL, "bidi_control", WARNING, ROW,
		"a text contains a character that changes the writing direction")

/* any address */
LN_RULE(URL_SCHEME, "url_scheme", ERROR, ROW,
		"an address does not begin with a scheme that LINE takes: https:, "
		"for actions also http:, line: and tel:")
LN_RULE(URL_APP_SCHEME, "url_app_scheme", WARNING, ROW,
		"an address opens an app or a mail, which LINE does not promise and "
		"which works on some devices only")
LN_RULE(URL_MALFORMED, "url_malformed", ERROR, ROW,
		"an address has no host, or a character that must be "
		"percent-encoded")
LN_RULE(URL_NOT_HTTPS, "url_not_https", WARNING, ROW,
		"an address is not https")

/* template messages */
LN_RULE(TEMPLATE_KEY_INVALID, "template_key_invalid", ERROR, STATEMENT,
		"templateKey is not 1 to 64 letters, digits and underscores")
LN_RULE(ITEM_KEY_INVALID, "item_key_invalid", ERROR, STATEMENT,
		"itemKey is not 1 to 64 letters, digits and underscores")
LN_RULE(ITEM_KEY_DUPLICATE, "item_key_duplicate", ERROR, STATEMENT,
		"itemKey occurs twice among emphasizedItem and items")
LN_RULE(ITEMS_COUNT, "items_count", ERROR, STATEMENT,
		"more than 15 items")
LN_RULE(BUTTON_KEY_INVALID, "button_key_invalid", ERROR, STATEMENT,
		"buttonKey is not 1 to 64 letters, digits and underscores")
LN_RULE(BUTTON_KEY_DUPLICATE, "button_key_duplicate", ERROR, STATEMENT,
		"buttonKey occurs twice")
LN_RULE(BUTTONS_COUNT, "buttons_count", ERROR, STATEMENT,
		"more than 2 buttons")

/* flexible messages */
LN_RULE(MESSAGES_COUNT, "messages_count", ERROR, STATEMENT,
		"not 1 to 5 messages")
LN_RULE(MESSAGE_TYPE_UNKNOWN, "message_type_unknown", WARNING, STATEMENT,
		"LINE documents no such message type; an error where the channel "
		"refuses unknown content")
LN_RULE(MESSAGE_MEDIA, "message_media", ERROR, STATEMENT,
		"images, videos and audio are forbidden in notification messages")
LN_RULE(MESSAGE_IMAGEMAP, "message_imagemap", ERROR, STATEMENT,
		"imagemaps are images, which are forbidden in notification messages")
LN_RULE(MESSAGE_COUPON, "message_coupon", ERROR, STATEMENT,
		"coupons are advertising, which is forbidden in notification "
		"messages")
LN_RULE(MESSAGE_STICKER, "message_sticker", WARNING, STATEMENT,
		"a sticker is an image and is likely to be refused in the review")
LN_RULE(QUICK_REPLY_COUNT, "quick_reply_count", ERROR, STATEMENT,
		"not 1 to 13 quick reply buttons")
LN_RULE(QUICK_REPLY_IMAGE, "quick_reply_image", WARNING, STATEMENT,
		"an icon on a quick reply button is likely to be refused in the "
		"review")
LN_RULE(SENDER_ICON, "sender_icon", WARNING, STATEMENT,
		"another sender icon is likely to be refused in the review")
LN_RULE(SENDER_NAME, "sender_name", WARNING, ROW,
		"the sender name contains the letters LINE, which LINE may refuse")
LN_RULE(SENDER_NAME_LINE, "sender_name_line", ERROR, ROW,
		"the sender name contains the word LINE, which LINE refuses")
LN_RULE(EMOJIS_COUNT, "emojis_count", ERROR, STATEMENT,
		"more than 20 emojis")
LN_RULE(EMOJI_INDEX, "emoji_index", ERROR, ROW,
		"the index of an emoji does not point at a $ of its own, counted in "
		"UTF-16 units")
LN_RULE(SUBSTITUTION_COUNT, "substitution_count", ERROR, STATEMENT,
		"more than 100 substitutions")
LN_RULE(SUBSTITUTION_KEY_INVALID, "substitution_key_invalid", ERROR, STATEMENT,
		"the key of a substitution is not 1 to 20 letters, digits and "
		"underscores")
LN_RULE(SUBSTITUTION_TYPE_UNKNOWN, "substitution_type_unknown",
		ERROR, STATEMENT,
		"LINE has no such substitution type")
LN_RULE(SUBSTITUTION_MENTION, "substitution_mention", WARNING, STATEMENT,
		"mentions belong to groups, and a notification message goes to one "
		"person")
LN_RULE(SUBSTITUTION_UNUSED, "substitution_unused", WARNING, STATEMENT,
		"the text does not use a substitution")
LN_RULE(PLACEHOLDER_UNKNOWN, "placeholder_unknown", ERROR, ROW,
		"the text uses a placeholder without substitution")
LN_RULE(BRACE_UNBALANCED, "brace_unbalanced", ERROR, ROW,
		"a literal brace in the text is not doubled")
LN_RULE(LOCATION_OUT_OF_RANGE, "location_out_of_range", ERROR, ROW,
		"latitude or longitude is out of range")
LN_RULE(TEMPLATE_TYPE_UNKNOWN, "template_type_unknown", ERROR, STATEMENT,
		"LINE has no such template type")
LN_RULE(TEMPLATE_IMAGE, "template_image", ERROR, STATEMENT,
		"images in templates are forbidden in notification messages")
LN_RULE(TEMPLATE_COUNT, "template_count", ERROR, STATEMENT,
		"a template has more or fewer actions or columns than LINE takes")
LN_RULE(TEMPLATE_COLUMNS, "template_columns", ERROR, STATEMENT,
		"the columns of a template differ in the number of actions, or some "
		"have a title and some have none")
LN_RULE(TEMPLATE_TEXT_LONG, "template_text_long", WARNING, ROW,
		"a text in a template may be longer than LINE takes, which counts "
		"what people see as one character")
LN_RULE(ACTION_TYPE_UNKNOWN, "action_type_unknown", ERROR, STATEMENT,
		"LINE has no such action type")
LN_RULE(ACTION_PLACE, "action_place", ERROR, STATEMENT,
		"the action belongs to quick replies or to rich menus")
LN_RULE(ACTION_LABEL, "action_label", WARNING, ROW,
		"the label of an action is blank, or may be longer than LINE takes")
LN_RULE(ACTION_LABEL_MISSING, "action_label_missing", ERROR, ROW,
		"the label of a button is missing or empty")
LN_RULE(DATETIME_INVALID, "datetime_invalid", ERROR, ROW,
		"initial, min or max of a date and time picker is none of its mode, "
		"or not from 1900 to 2100")
LN_RULE(DATETIME_ORDER, "datetime_order", ERROR, ROW,
		"min of a date and time picker is not before max")
LN_RULE(DATETIME_INITIAL, "datetime_initial", WARNING, ROW,
		"initial of a date and time picker is not between min and max")
LN_RULE(FLEX_CONTAINER_UNKNOWN, "flex_container_unknown", ERROR, STATEMENT,
		"a Flex container is neither a bubble nor a carousel")
LN_RULE(FLEX_COMPONENT_UNKNOWN, "flex_component_unknown", ERROR, STATEMENT,
		"LINE has no such Flex component")
LN_RULE(FLEX_BLOCK, "flex_block", ERROR, STATEMENT,
		"a block of a bubble is not a box")
LN_RULE(BUBBLE_EMPTY, "bubble_empty", ERROR, STATEMENT,
		"a bubble has neither header nor hero, body or footer")
LN_RULE(FLEX_MEDIA, "flex_media", ERROR, STATEMENT,
		"images and videos are forbidden in notification messages, also "
		"inside a Flex message")
LN_RULE(FLEX_ICON, "flex_icon", WARNING, STATEMENT,
		"an icon is likely to be refused in the review unless it is one of "
		"LINE's own")
LN_RULE(FLEX_CHILD, "flex_child", ERROR, STATEMENT,
		"the component cannot stand in this parent: an icon needs a "
		"baseline box, a span a text")
LN_RULE(FLEX_LAYOUT, "flex_layout", ERROR, STATEMENT,
		"the layout of a box is not horizontal, vertical or baseline")
LN_RULE(FLEX_TEXT_BLANK, "flex_text_blank", WARNING, ROW,
		"a Flex text shows nothing")
LN_RULE(BUBBLE_TOO_LARGE, "bubble_too_large", ERROR, ROW,
		"a bubble is larger than 30 kB")
LN_RULE(CAROUSEL_TOO_LARGE, "carousel_too_large", ERROR, ROW,
		"a carousel is larger than 50 kB")
LN_RULE(SIZE_NEAR_LIMIT, "size_near_limit", WARNING, ROW,
		"a bubble or carousel is within a few per cent of the limit, and "
		"LINE does not say how it counts")
LN_RULE(CAROUSEL_COUNT, "carousel_count", ERROR, STATEMENT,
		"a carousel has not 1 to 12 bubbles")
LN_RULE(CAROUSEL_SIZES, "carousel_sizes", ERROR, STATEMENT,
		"the bubbles of a carousel differ in size")

/* the context: catalogue and channel; _context_findings() and approval.c */
LN_RULE(USE_CASE_NOT_APPROVED, "use_case_not_approved", ERROR, STATEMENT,
		"the channel lists its approved use cases, and this one is not "
		"among them")
LN_RULE(USE_CASE_SUSPENDED, "use_case_suspended", ERROR, STATEMENT,
		"the approval of the use case is suspended")
LN_RULE(DESIGN_NOT_APPROVED, "design_not_approved", ERROR, STATEMENT,
		"the channel lists the approved designs of the use case, and the "
		"message matches none")
LN_RULE(USE_CASE_MISSING, "use_case_missing", ERROR, STATEMENT,
		"the channel wants a use case for a flexible message")
LN_RULE(USE_CASE_MISMATCH, "use_case_mismatch", WARNING, STATEMENT,
		"the catalogue says that the template has another use case")
LN_RULE(TEMPLATE_KEY_UNLISTED, "template_key_unlisted", ERROR, STATEMENT,
		"the channel takes listed keys only, and the template key is not in "
		"the catalogue")
LN_RULE(ITEM_KEY_UNLISTED, "item_key_unlisted", ERROR, STATEMENT,
		"the channel takes listed keys only, and an item key is not in the "
		"catalogue")
LN_RULE(BUTTON_KEY_UNLISTED, "button_key_unlisted", ERROR, STATEMENT,
		"the channel takes listed keys only, and a button key is not in the "
		"catalogue")
