/*-------------------------------------------------------------------------
 *
 * message_check.c
 *		The mechanical content rules of LINE for notification messages.
 *
 * Pure over a parsed tree: no PostgreSQL, no allocation, no state.  A check
 * costs time in proportion to the number of nodes and bytes, and recursion in
 * proportion to the depth, both of which the builder of the tree has bounded,
 * so hostile input is as cheap as any other.
 *
 * Where a finding is, is known only while walking: each level of the walk has
 * a PathSegment on the stack that points to its parent's, and the text of a
 * path is put together when something is found, which is hardly ever.
 *
 * Properties that we do not know are allowed, since LINE adds some without
 * notice.  Lengths are UTF-16 units ("Character counting" in LINE's guide);
 * for
 * the labels that LINE counts in grapheme clusters, that can only be more, so
 * those rules are warnings.
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "content/message_check.h"

/*
 * Limits of LINE.  "L" stands in LINE's reference, "O" in its OpenAPI
 * description; the rest of the limits we know stand as warnings below.
 */
#define MAX_ITEMS				15	/* L */
#define MAX_BUTTONS				2	/* L */
#define MAX_EMPHASIZED			15	/* L, UTF-16 units is our reading */
#define MAX_CONTENT				300 /* L, the same */
#define MAX_URL					1000	/* L */
#define MAX_IMAGE_URL			2000	/* L, O */
#define MAX_MESSAGES			5	/* L, O */
#define MAX_TEXT				5000	/* L */
#define MAX_ALT_TEXT			1500	/* L */
#define MAX_EMOJIS				20	/* L */
#define MAX_SUBSTITUTIONS		100 /* L */
#define MAX_SUBSTITUTION_KEY	20	/* L */
#define MAX_LOCATION_TEXT		100 /* L */
#define MAX_QUICK_REPLIES		13	/* L, O */
#define MAX_SENDER_NAME			20	/* L, O */
#define MAX_ACTION_DATA			300 /* O */
#define MAX_CLIPBOARD			1000	/* O */
#define MAX_RICH_MENU_ALIAS		32	/* O */
#define MAX_BUBBLES				12	/* L */
#define MAX_UNIT				30	/* L */
#define MAX_KEY					64	/* ours: longer than any key seen */

/*
 * LINE says 30 KB, 50 KB and 2 MB and not whether K is 1000 or 1024, nor
 * whether blanks count.  We count without blanks; an error above the larger
 * reading, a warning above the smaller.
 */
#define MAX_BUBBLE_BYTES		(30 * 1024)
#define WARN_BUBBLE_BYTES		(30 * 1000)
#define MAX_CAROUSEL_BYTES		(50 * 1024)
#define WARN_CAROUSEL_BYTES		(50 * 1000)

/* {"to":"<64 hex digits>", makes 72 bytes that we do not see */
#define MAX_REQUEST_BYTES		(2 * 1024 * 1024 - 72)

/* no more elements of an over-long array are looked into */
#define MAX_LOOKED_AT			64

/* string literal and its length, for ln_json_find() and others */
#define LIT(s)					(s), (sizeof(s) - 1)

typedef struct PathSegment
{
	const struct PathSegment *up;
	const char *key;			/* NULL: an array element */
	size_t		len;			/* of key */
	uint32_t	index;
} PathSegment;

typedef struct Checker
{
	LnCheck    *out;
	const LnJsonTree *tree;
} Checker;

/* what one pass over a text tells */
typedef struct TextFacts
{
	size_t		utf16;			/* length in UTF-16 units */
	bool		blank;			/* nothing but blanks, or nothing */
	bool		invalid;		/* not UTF-8; the rest is unreliable then */
	bool		control;
	bool		tab_or_return;
	bool		line_break;
	bool		bidi;
} TextFacts;

/* how check_text() treats a text */
#define TEXT_REQUIRED		0x01	/* missing is an error */
#define TEXT_EMPTY_OK		0x02
#define TEXT_BLANK_OK		0x04
#define TEXT_BLANK_WARN		0x08	/* blank is a warning only */
#define TEXT_NO_BREAKS		0x10	/* warn of line breaks */
#define TEXT_LONG_WARN		0x20	/* too long is a warning only */

/* where an action stands */
typedef enum ActionPlace
{
	PLACE_FLEX,
	PLACE_FLEX_BUTTON,
	PLACE_TEMPLATE,
	PLACE_QUICK_REPLY
} ActionPlace;

/* what a Flex component stands in */
typedef enum FlexParent
{
	PARENT_BLOCK,				/* header, hero, body, footer */
	PARENT_BOX,					/* horizontal or vertical */
	PARENT_BASELINE,
	PARENT_TEXT
} FlexParent;

/* a Flex property with a closed set of values */
typedef struct FlexProperty
{
	const char *component;		/* NULL: any */
	const char *key;
	size_t		len;			/* of key */
	LnJsonType	type;			/* LN_JSON_TRUE stands for a boolean */
	const char *values;			/* separated by blanks; NULL: any */
} FlexProperty;

const LnRuleInfo ln_message_rules[LN_RULE_COUNT] =
{
#define ERROR LN_SEVERITY_ERROR
#define WARNING LN_SEVERITY_WARNING
#define STATEMENT LN_FAULT_STATEMENT
#define ROW LN_FAULT_ROW
#define LN_RULE(symbol, name, severity, fault, description) {name, severity, fault, description},
#include "content/message_rules.h"
#undef LN_RULE
#undef ERROR
#undef WARNING
#undef STATEMENT
#undef ROW
};

static const FlexProperty flex_properties[] =
{
	{NULL, LIT("flex"), LN_JSON_NUMBER, NULL},
	{NULL, LIT("wrap"), LN_JSON_TRUE, NULL},
	{NULL, LIT("scaling"), LN_JSON_TRUE, NULL},
	{NULL, LIT("maxLines"), LN_JSON_NUMBER, NULL},
	{NULL, LIT("margin"), LN_JSON_STRING, NULL},
	{NULL, LIT("spacing"), LN_JSON_STRING, NULL},
	{NULL, LIT("color"), LN_JSON_STRING, NULL},
	{NULL, LIT("backgroundColor"), LN_JSON_STRING, NULL},
	{NULL, LIT("size"), LN_JSON_STRING, NULL},
	{NULL, LIT("position"), LN_JSON_STRING, "relative absolute"},
	{NULL, LIT("gravity"), LN_JSON_STRING, "top bottom center"},
	{NULL, LIT("align"), LN_JSON_STRING, "start end center"},
	{NULL, LIT("weight"), LN_JSON_STRING, "regular bold"},
	{NULL, LIT("decoration"), LN_JSON_STRING, "none underline line-through"},
	{NULL, LIT("adjustMode"), LN_JSON_STRING, "shrink-to-fit"},
	{NULL, LIT("justifyContent"), LN_JSON_STRING, "center flex-start flex-end space-between space-around space-evenly"},
	{NULL, LIT("alignItems"), LN_JSON_STRING, "center flex-start flex-end"},
	{"button", LIT("style"), LN_JSON_STRING, "primary secondary link"},
	{"button", LIT("height"), LN_JSON_STRING, "md sm"},
	{"text", LIT("style"), LN_JSON_STRING, "normal italic"},
	{"span", LIT("style"), LN_JSON_STRING, "normal italic"},
	{"bubble", LIT("direction"), LN_JSON_STRING, "ltr rtl"},
	{"bubble", LIT("size"), LN_JSON_STRING, "nano micro deca hecto kilo mega giga"},
};

static void check_template_body(Checker *c, const PathSegment *seg,
								uint32_t body);
static void check_template_key(Checker *c, const PathSegment *up,
							   const char *key, size_t len);
static void check_message_list(Checker *c, const PathSegment *seg,
							   uint32_t list);
static void check_message(Checker *c, const PathSegment *seg, uint32_t node);
static void check_common(Checker *c, const PathSegment *seg, uint32_t message);
static void check_emojis(Checker *c, const PathSegment *seg, uint32_t message,
						 uint32_t text_node);
static void check_substitution(Checker *c, const PathSegment *seg,
							   uint32_t message, uint32_t text_node);
static void check_template_message(Checker *c, const PathSegment *seg,
								   uint32_t message);
static void check_action(Checker *c, const PathSegment *up, uint32_t object,
						 const char *key, size_t len, ActionPlace place,
						 bool required);
static void check_action_object(Checker *c, const PathSegment *seg,
								uint32_t node, ActionPlace place);
static void check_flex_container(Checker *c, const PathSegment *seg,
								 uint32_t node);
static void check_bubble(Checker *c, const PathSegment *seg, uint32_t node);
static void check_component(Checker *c, const PathSegment *seg, uint32_t node,
							FlexParent parent);
static void check_flex_properties(Checker *c, const PathSegment *seg,
								  uint32_t node);
static void find_media(Checker *c, const PathSegment *seg, uint32_t node);
static void check_units(Checker *c, const PathSegment *seg, uint32_t units);
static void check_unit_name(Checker *c, const PathSegment *seg,
							const char *unit, size_t len);
static uint32_t get(Checker *c, const PathSegment *up, uint32_t object,
					const char *key, size_t len, LnJsonType type,
					bool required);
static uint32_t check_text(Checker *c, const PathSegment *up, uint32_t object,
						   const char *key, size_t len, size_t max, int flags);
static void check_url(Checker *c, const PathSegment *up, uint32_t object,
					  const char *key, size_t len, size_t max, bool required);
static void check_spelling(Checker *c, const PathSegment *seg, uint32_t object,
						   const char *names);
static size_t json_size(const LnJsonTree *tree, uint32_t node);
static void scan_text(const char *str, size_t len, TextFacts *facts);
static bool is_key(const char *str, size_t len, size_t max);
static bool string_is(const LnJsonNode *node, const char *str, size_t len);
static bool in_list(const char *str, size_t len, const char *list);
static void report(Checker *c, const PathSegment *seg, LnRule rule,
				   const char *fmt,...)
			__attribute__((format(printf, 4, 5)));

/*
 * The whole request minus "to".
 */
void
ln_message_check_request(LnCheck *check, LnMessageKind kind,
						 const LnJsonTree *request)
{
	Checker		c = {check, request};
	const LnJsonNode *root = &request->nodes[0];
	uint32_t	i;

	if (root->type != LN_JSON_OBJECT)
	{
		report(&c, NULL, LN_RULE_PAYLOAD_TYPE,
			   "the payload must be a JSON object");
		return;
	}

	if (request->n_bytes > MAX_REQUEST_BYTES / 8 &&
		json_size(request, 0) > MAX_REQUEST_BYTES)
		report(&c, NULL, LN_RULE_REQUEST_TOO_LARGE,
			   "the request has more than 2 MB");

	for (i = 1; i < root->end; i = request->nodes[i].end)
	{
		const LnJsonNode *node = &request->nodes[i];
		PathSegment seg = {NULL, node->key, node->key_len, 0};

		if (ln_json_key_is(node, LIT("to")))
			report(&c, &seg, LN_RULE_TO_NOT_ALLOWED,
				   "the recipient is filled in by the outbox");
		else if (ln_json_key_is(node, LIT("customAggregationUnits")))
			check_units(&c, &seg, i);
		else if (ln_json_key_is(node, LIT("notificationDisabled")))
		{
			if (node->type != LN_JSON_TRUE && node->type != LN_JSON_FALSE &&
				node->type != LN_JSON_NULL)
				report(&c, &seg, LN_RULE_PROPERTY_TYPE,
					   "must be true or false");
			else if (kind == LN_MESSAGE_TEMPLATE && node->type != LN_JSON_NULL)
				report(&c, &seg, LN_RULE_NOTIFICATION_DISABLED,
					   "LINE documents this for flexible messages only");
		}
		else if (kind == LN_MESSAGE_TEMPLATE ?
				 ln_json_key_is(node, LIT("messages")) :
				 (ln_json_key_is(node, LIT("templateKey")) ||
				  ln_json_key_is(node, LIT("body"))))
			report(&c, &seg, LN_RULE_WRONG_KIND,
				   kind == LN_MESSAGE_TEMPLATE ?
				   "this belongs to flexible messages" :
				   "this belongs to template messages");
	}

	if (kind == LN_MESSAGE_TEMPLATE)
	{
		uint32_t	key =
		get(&c, NULL, 0, LIT("templateKey"), LN_JSON_STRING, true);
		uint32_t	body = get(&c, NULL, 0, LIT("body"), LN_JSON_OBJECT, false);

		if (key != 0)
			check_template_key(&c, NULL, request->nodes[key].str,
							   request->nodes[key].len);
		if (body != 0)
		{
			PathSegment seg = {NULL, LIT("body"), 0};

			check_template_body(&c, &seg, body);
		}
		check_spelling(&c, NULL, 0,
					   "templateKey body customAggregationUnits notificationDisabled");
	}
	else
	{
		uint32_t	list = get(&c, NULL, 0, LIT("messages"), LN_JSON_ARRAY, true);

		if (list != 0)
		{
			PathSegment seg = {NULL, LIT("messages"), 0};

			check_message_list(&c, &seg, list);
		}
		check_spelling(&c, NULL, 0,
					   "messages customAggregationUnits notificationDisabled");
	}
}

void
ln_message_check_template(LnCheck *check, const char *key, size_t keylen,
						  const LnJsonTree *body)
{
	Checker		c = {check, body};

	check_template_key(&c, NULL, key, keylen);
	if (body != NULL && body->nodes[0].type != LN_JSON_NULL)
	{
		PathSegment seg = {NULL, LIT("body"), 0};

		if (body->nodes[0].type != LN_JSON_OBJECT)
			report(&c, &seg, LN_RULE_PAYLOAD_TYPE,
				   "the body must be a JSON object");
		else
		{
			if (body->n_bytes > MAX_REQUEST_BYTES / 8 &&
				json_size(body, 0) > MAX_REQUEST_BYTES)
				report(&c, &seg, LN_RULE_REQUEST_TOO_LARGE,
					   "the request has more than 2 MB");
			check_template_body(&c, &seg, 0);
		}
	}
}

void
ln_message_check_messages(LnCheck *check, const LnJsonTree *messages)
{
	Checker		c = {check, messages};
	PathSegment seg = {NULL, LIT("messages"), 0};

	if (messages->nodes[0].type != LN_JSON_ARRAY)
	{
		report(&c, &seg, LN_RULE_PAYLOAD_TYPE,
			   "the messages must be a JSON array");
		return;
	}
	if (messages->n_bytes > MAX_REQUEST_BYTES / 8 &&
		json_size(messages, 0) > MAX_REQUEST_BYTES)
		report(&c, &seg, LN_RULE_REQUEST_TOO_LARGE,
			   "the request has more than 2 MB");
	check_message_list(&c, &seg, 0);
}

void
ln_message_check_unit(LnCheck *check, const char *unit, size_t len)
{
	Checker		c = {check, NULL};
	PathSegment units = {NULL, LIT("customAggregationUnits"), 0};
	PathSegment seg = {&units, NULL, 0, 0};

	check_unit_name(&c, &seg, unit, len);
}

void
ln_message_report(LnCheck *check, LnRule rule, const char *path,
				  const char *message)
{
	Checker		c = {check, NULL};
	PathSegment seg = {NULL, path, strlen(path), 0};

	report(&c, path[0] ? &seg : NULL, rule, "%s", message);
}

/*
 * Template messages
 */

static void
check_template_key(Checker *c, const PathSegment *up,
				   const char *key, size_t len)
{
	PathSegment seg = {up, LIT("templateKey"), 0};

	if (!is_key(key, len, MAX_KEY))
		report(c, &seg, LN_RULE_TEMPLATE_KEY_INVALID,
			   "must be 1 to %d letters, digits and underscores", MAX_KEY);
}

/*
 * One item; content is limited to max.  seen are the n_seen keys before it.
 */
static void
check_item(Checker *c, const PathSegment *seg, uint32_t node, size_t max,
		   const LnJsonNode **seen, int *n_seen)
{
	const LnJsonNode *nodes = c->tree->nodes;
	uint32_t	key;

	if (nodes[node].type != LN_JSON_OBJECT)
	{
		report(c, seg, LN_RULE_PROPERTY_TYPE,
			   "must be an object with itemKey and content");
		return;
	}

	key = get(c, seg, node, LIT("itemKey"), LN_JSON_STRING, true);
	if (key != 0)
	{
		const LnJsonNode *k = &nodes[key];
		PathSegment key_seg = {seg, LIT("itemKey"), 0};
		int			i;

		if (!is_key(k->str, k->len, MAX_KEY))
			report(c, &key_seg, LN_RULE_ITEM_KEY_INVALID,
				   "must be 1 to %d letters, digits and underscores", MAX_KEY);
		else
		{
			for (i = 0; i < *n_seen; i++)
			{
				if (string_is(seen[i], k->str, k->len))
				{
					report(c, &key_seg, LN_RULE_ITEM_KEY_DUPLICATE,
						   "\"%.*s\" occurs twice among emphasizedItem and items",
						   (int) k->len, k->str);
					break;
				}
			}
			if (*n_seen <= MAX_LOOKED_AT)
				seen[(*n_seen)++] = k;
		}
	}
	check_text(c, seg, node, LIT("content"), max,
			   TEXT_REQUIRED | TEXT_NO_BREAKS);
	check_spelling(c, seg, node, "itemKey content");
}

static void
check_button(Checker *c, const PathSegment *seg, uint32_t node,
			 const LnJsonNode **seen, int *n_seen)
{
	const LnJsonNode *nodes = c->tree->nodes;
	uint32_t	key;

	if (nodes[node].type != LN_JSON_OBJECT)
	{
		report(c, seg, LN_RULE_PROPERTY_TYPE,
			   "must be an object with buttonKey and url");
		return;
	}

	key = get(c, seg, node, LIT("buttonKey"), LN_JSON_STRING, true);
	if (key != 0)
	{
		const LnJsonNode *k = &nodes[key];
		PathSegment key_seg = {seg, LIT("buttonKey"), 0};
		int			i;

		if (!is_key(k->str, k->len, MAX_KEY))
			report(c, &key_seg, LN_RULE_BUTTON_KEY_INVALID,
				   "must be 1 to %d letters, digits and underscores", MAX_KEY);
		else
		{
			for (i = 0; i < *n_seen; i++)
			{
				if (string_is(seen[i], k->str, k->len))
				{
					report(c, &key_seg, LN_RULE_BUTTON_KEY_DUPLICATE,
						   "\"%.*s\" occurs twice", (int) k->len, k->str);
					break;
				}
			}
			if (*n_seen <= MAX_LOOKED_AT)
				seen[(*n_seen)++] = k;
		}
	}
	check_url(c, seg, node, LIT("url"), MAX_URL, true);
	check_spelling(c, seg, node, "buttonKey url");
}

static void
check_template_body(Checker *c, const PathSegment *seg, uint32_t body)
{
	const LnJsonNode *nodes = c->tree->nodes;
	const LnJsonNode *seen[MAX_LOOKED_AT + 1];
	int			n_seen = 0;
	uint32_t	node;
	uint32_t	i;
	uint32_t	n;

	node = get(c, seg, body, LIT("emphasizedItem"), LN_JSON_OBJECT, false);
	if (node != 0)
	{
		PathSegment item_seg = {seg, LIT("emphasizedItem"), 0};

		check_item(c, &item_seg, node, MAX_EMPHASIZED, seen, &n_seen);
	}

	node = get(c, seg, body, LIT("items"), LN_JSON_ARRAY, false);
	if (node != 0)
	{
		PathSegment items_seg = {seg, LIT("items"), 0};
		PathSegment item_seg = {&items_seg, NULL, 0, 0};

		if (nodes[node].count > MAX_ITEMS)
			report(c, &items_seg, LN_RULE_ITEMS_COUNT,
				   "%u items, at most %d are allowed",
				   (unsigned) nodes[node].count, MAX_ITEMS);
		for (i = node + 1, n = 0; i < nodes[node].end && n < MAX_LOOKED_AT;
			 i = nodes[i].end, n++)
		{
			item_seg.index = n;
			check_item(c, &item_seg, i, MAX_CONTENT, seen, &n_seen);
		}
	}

	n_seen = 0;
	node = get(c, seg, body, LIT("buttons"), LN_JSON_ARRAY, false);
	if (node != 0)
	{
		PathSegment buttons_seg = {seg, LIT("buttons"), 0};
		PathSegment button_seg = {&buttons_seg, NULL, 0, 0};

		if (nodes[node].count > MAX_BUTTONS)
			report(c, &buttons_seg, LN_RULE_BUTTONS_COUNT,
				   "%u buttons, at most %d are allowed",
				   (unsigned) nodes[node].count, MAX_BUTTONS);
		for (i = node + 1, n = 0; i < nodes[node].end && n < MAX_LOOKED_AT;
			 i = nodes[i].end, n++)
		{
			button_seg.index = n;
			check_button(c, &button_seg, i, seen, &n_seen);
		}
	}

	check_spelling(c, seg, body, "emphasizedItem items buttons");
}

/*
 * Flexible messages
 */

static void
check_message_list(Checker *c, const PathSegment *seg, uint32_t list)
{
	const LnJsonNode *nodes = c->tree->nodes;
	PathSegment message_seg = {seg, NULL, 0, 0};
	uint32_t	i;
	uint32_t	n;

	if (nodes[list].count < 1 || nodes[list].count > MAX_MESSAGES)
		report(c, seg, LN_RULE_MESSAGES_COUNT,
			   "%u messages, 1 to %d are allowed",
			   (unsigned) nodes[list].count, MAX_MESSAGES);
	for (i = list + 1, n = 0; i < nodes[list].end && n < MAX_LOOKED_AT;
		 i = nodes[i].end, n++)
	{
		message_seg.index = n;
		check_message(c, &message_seg, i);
	}
}

static void
check_message(Checker *c, const PathSegment *seg, uint32_t node)
{
	const LnJsonNode *nodes = c->tree->nodes;
	const LnJsonNode *type;
	PathSegment type_seg = {seg, LIT("type"), 0};
	uint32_t	t;
	uint32_t	text_node;

	if (nodes[node].type != LN_JSON_OBJECT)
	{
		report(c, seg, LN_RULE_PROPERTY_TYPE, "must be a message object");
		return;
	}
	t = get(c, seg, node, LIT("type"), LN_JSON_STRING, true);
	if (t == 0)
		return;
	type = &nodes[t];

	if (string_is(type, LIT("text")))
	{
		text_node =
			check_text(c, seg, node, LIT("text"), MAX_TEXT, TEXT_REQUIRED);

		check_emojis(c, seg, node, text_node);
		check_spelling(c, seg, node,
					   "type text emojis quickReply sender quoteToken");
	}
	else if (string_is(type, LIT("textV2")))
	{
		text_node =
			check_text(c, seg, node, LIT("text"), MAX_TEXT, TEXT_REQUIRED);

		check_substitution(c, seg, node, text_node);
		check_spelling(c, seg, node,
					   "type text substitution quickReply sender quoteToken");
	}
	else if (string_is(type, LIT("flex")))
	{
		uint32_t	contents;

		check_text(c, seg, node, LIT("altText"), MAX_ALT_TEXT, TEXT_REQUIRED);
		contents = get(c, seg, node, LIT("contents"), LN_JSON_OBJECT, true);
		if (contents != 0)
		{
			PathSegment contents_seg = {seg, LIT("contents"), 0};

			check_flex_container(c, &contents_seg, contents);
		}
		check_spelling(c, seg, node,
					   "type altText contents quickReply sender");
	}
	else if (string_is(type, LIT("template")))
	{
		check_text(c, seg, node, LIT("altText"), MAX_ALT_TEXT, TEXT_REQUIRED);
		check_template_message(c, seg, node);
		check_spelling(c, seg, node,
					   "type altText template quickReply sender");
	}
	else if (string_is(type, LIT("location")))
	{
		static const struct
		{
			const char *key;
			int			limit;
		}			axes[] = {{"latitude", 90}, {"longitude", 180}};
		int			i;

		check_text(c, seg, node, LIT("title"), MAX_LOCATION_TEXT,
				   TEXT_REQUIRED);
		check_text(c, seg, node, LIT("address"), MAX_LOCATION_TEXT,
				   TEXT_REQUIRED);
		for (i = 0; i < 2; i++)
		{
			size_t		len = strlen(axes[i].key);
			uint32_t	v =
			get(c, seg, node, axes[i].key, len, LN_JSON_NUMBER, true);

			if (v != 0 && nodes[v].str != NULL)
			{
				char		buf[64];
				double		d;

				snprintf(buf, sizeof(buf), "%.*s", (int) nodes[v].len,
						 nodes[v].str);
				d = strtod(buf, NULL);
				if (!(d >= -axes[i].limit && d <= axes[i].limit))
				{
					PathSegment axis_seg = {seg, axes[i].key, len, 0};

					report(c, &axis_seg, LN_RULE_LOCATION_OUT_OF_RANGE,
						   "must be between -%d and %d", axes[i].limit, axes[i].limit);
				}
			}
		}
	}
	else if (string_is(type, LIT("image")) || string_is(type, LIT("video")) ||
			 string_is(type, LIT("audio")))
		report(c, &type_seg, LN_RULE_MESSAGE_MEDIA,
			   "images, videos and audio are forbidden in notification messages");
	else if (string_is(type, LIT("imagemap")))
		report(c, &type_seg, LN_RULE_MESSAGE_IMAGEMAP,
			   "imagemaps are forbidden in notification messages");
	else if (string_is(type, LIT("coupon")))
		report(c, &type_seg, LN_RULE_MESSAGE_COUPON,
			   "coupons are advertising, which is forbidden in notification messages");
	else if (string_is(type, LIT("sticker")))
	{
		get(c, seg, node, LIT("packageId"), LN_JSON_STRING, true);
		get(c, seg, node, LIT("stickerId"), LN_JSON_STRING, true);
		report(c, &type_seg, LN_RULE_MESSAGE_STICKER,
			   "a sticker is likely to be refused in the review");
	}
	else
		report(c, &type_seg, LN_RULE_MESSAGE_TYPE_UNKNOWN,
			   "must be text, textV2, flex, template, location or sticker");

	check_common(c, seg, node);
}

/* quickReply and sender, which every message may have */
static void
check_common(Checker *c, const PathSegment *seg, uint32_t message)
{
	const LnJsonNode *nodes = c->tree->nodes;
	uint32_t	reply =
	get(c, seg, message, LIT("quickReply"), LN_JSON_OBJECT, false);
	uint32_t	sender =
	get(c, seg, message, LIT("sender"), LN_JSON_OBJECT, false);

	if (reply != 0)
	{
		PathSegment reply_seg = {seg, LIT("quickReply"), 0};
		PathSegment items_seg = {&reply_seg, LIT("items"), 0};
		PathSegment item_seg = {&items_seg, NULL, 0, 0};
		uint32_t	items =
		get(c, &reply_seg, reply, LIT("items"), LN_JSON_ARRAY, true);

		if (items != 0)
		{
			uint32_t	i;
			uint32_t	n;

			if (nodes[items].count > MAX_QUICK_REPLIES)
				report(c, &items_seg, LN_RULE_QUICK_REPLY_COUNT,
					   "%u buttons, at most %d are allowed",
					   (unsigned) nodes[items].count, MAX_QUICK_REPLIES);
			for (i = items + 1, n = 0;
				 i < nodes[items].end && n < MAX_LOOKED_AT;
				 i = nodes[i].end, n++)
			{
				item_seg.index = n;
				if (nodes[i].type != LN_JSON_OBJECT)
				{
					report(c, &item_seg, LN_RULE_PROPERTY_TYPE,
						   "must be an object");
					continue;
				}
				if (get(c, &item_seg, i, LIT("imageUrl"), LN_JSON_STRING,
						false) != 0)
				{
					PathSegment image_seg = {&item_seg, LIT("imageUrl"), 0};

					check_url(c, &item_seg, i, LIT("imageUrl"), MAX_IMAGE_URL,
							  false);
					report(c, &image_seg, LN_RULE_QUICK_REPLY_IMAGE,
						   "an icon is likely to be refused in the review");
				}
				check_action(c, &item_seg, i, LIT("action"), PLACE_QUICK_REPLY,
							 true);
			}
		}
	}

	if (sender != 0)
	{
		PathSegment sender_seg = {seg, LIT("sender"), 0};
		uint32_t	name = check_text(c, &sender_seg, sender, LIT("name"),
									  MAX_SENDER_NAME, TEXT_NO_BREAKS);

		if (name != 0)
		{
			const LnJsonNode *n = &nodes[name];
			uint32_t	i;

			for (i = 0; i + 4 <= n->len; i++)
			{
				if (memcmp(n->str + i, "LINE", 4) == 0)
				{
					PathSegment name_seg = {&sender_seg, LIT("name"), 0};

					report(c, &name_seg, LN_RULE_SENDER_NAME,
						   "LINE refuses names that contain certain words such as LINE");
					break;
				}
			}
		}
		if (get(c, &sender_seg, sender, LIT("iconUrl"), LN_JSON_STRING,
				false) != 0)
		{
			PathSegment icon_seg = {&sender_seg, LIT("iconUrl"), 0};

			check_url(c, &sender_seg, sender, LIT("iconUrl"), MAX_IMAGE_URL,
					  false);
			report(c, &icon_seg, LN_RULE_SENDER_ICON,
				   "another icon is likely to be refused in the review");
		}
	}
}

/* reads a whole number that is not negative; -1 when it is none */
static long
whole_number(const LnJsonNode *node)
{
	long		value = 0;
	uint32_t	i;

	if (node->type != LN_JSON_NUMBER || node->str == NULL ||
		node->len == 0 || node->len > 9)
		return -1;
	for (i = 0; i < node->len; i++)
	{
		if (node->str[i] < '0' || node->str[i] > '9')
			return -1;
		value = value * 10 + (node->str[i] - '0');
	}
	return value;
}

/* does the UTF-16 unit at index of a valid text begin a $? */
static bool
is_dollar_at(const char *str, size_t len, long index)
{
	size_t		i;
	long		unit = 0;

	for (i = 0; i < len; i++)
	{
		unsigned char b = (unsigned char) str[i];

		if ((b & 0xC0) == 0x80)
			continue;			/* inside a character */
		if (unit >= index)
			return unit == index && b == '$';
		unit += b >= 0xF0 ? 2 : 1;
	}
	return false;
}

static void
check_emojis(Checker *c, const PathSegment *seg, uint32_t message,
			 uint32_t text_node)
{
	const LnJsonNode *nodes = c->tree->nodes;
	PathSegment emojis_seg = {seg, LIT("emojis"), 0};
	PathSegment emoji_seg = {&emojis_seg, NULL, 0, 0};
	PathSegment index_seg = {&emoji_seg, LIT("index"), 0};
	uint32_t	emojis =
	get(c, seg, message, LIT("emojis"), LN_JSON_ARRAY, false);
	long		seen[MAX_EMOJIS];
	uint32_t	i;
	uint32_t	n;

	if (emojis == 0)
		return;
	if (nodes[emojis].count > MAX_EMOJIS)
		report(c, &emojis_seg, LN_RULE_EMOJIS_COUNT,
			   "%u emojis, at most %d are allowed",
			   (unsigned) nodes[emojis].count, MAX_EMOJIS);
	for (i = emojis + 1, n = 0; i < nodes[emojis].end && n < MAX_EMOJIS;
		 i = nodes[i].end, n++)
	{
		uint32_t	index;
		uint32_t	k;

		seen[n] = -1;
		emoji_seg.index = n;
		if (nodes[i].type != LN_JSON_OBJECT)
		{
			report(c, &emoji_seg, LN_RULE_PROPERTY_TYPE, "must be an object");
			continue;
		}
		get(c, &emoji_seg, i, LIT("productId"), LN_JSON_STRING, true);
		get(c, &emoji_seg, i, LIT("emojiId"), LN_JSON_STRING, true);
		index = get(c, &emoji_seg, i, LIT("index"), LN_JSON_NUMBER, true);
		if (index == 0)
			continue;
		seen[n] = whole_number(&nodes[index]);
		if (seen[n] < 0)
			report(c, &index_seg, LN_RULE_EMOJI_INDEX,
				   "must be a whole number from 0");
		else if (text_node != 0 &&
				 !is_dollar_at(nodes[text_node].str, nodes[text_node].len,
							   seen[n]))
			report(c, &index_seg, LN_RULE_EMOJI_INDEX,
				   "there is no $ at unit %ld of the text (UTF-16, from 0)", seen[n]);
		for (k = 0; seen[n] >= 0 && k < n; k++)
		{
			if (seen[k] == seen[n])
			{
				report(c, &index_seg, LN_RULE_EMOJI_INDEX,
					   "emoji %u has the same index", (unsigned) k);
				break;
			}
		}
	}
}

/*
 * textV2: {key} is replaced, {{ and }} stand for braces.
 */
static void
check_substitution(Checker *c, const PathSegment *seg, uint32_t message,
				   uint32_t text_node)
{
	const LnJsonNode *nodes = c->tree->nodes;
	PathSegment text_seg = {seg, LIT("text"), 0};
	PathSegment subst_seg = {seg, LIT("substitution"), 0};
	uint32_t	subst =
	get(c, seg, message, LIT("substitution"), LN_JSON_OBJECT, false);
	bool		used[MAX_SUBSTITUTIONS] = {false};
	bool		text_ok = text_node != 0;
	uint32_t	i;
	uint32_t	n;

	if (text_node != 0)
	{
		const char *s = nodes[text_node].str;
		size_t		len = nodes[text_node].len;
		size_t		p = 0;
		int			unknown = 0;

		while (p < len)
		{
			size_t		start;
			bool		found = false;

			if (s[p] != '{' && s[p] != '}')
			{
				p++;
				continue;
			}
			if (p + 1 < len && s[p + 1] == s[p])
			{
				p += 2;
				continue;
			}
			start = p + 1;

			if (s[p] == '{')
			{
				for (p = start; p < len && s[p] != '}' && s[p] != '{'; p++)
					;
			}
			if (s[start - 1] == '}' || p == len || s[p] == '{')
			{
				report(c, &text_seg, LN_RULE_BRACE_UNBALANCED,
					   "a literal brace must be written twice");
				text_ok = false;
				break;
			}
			if (subst != 0)
			{
				for (i = subst + 1, n = 0; i < nodes[subst].end;
					 i = nodes[i].end, n++)
				{
					if (ln_json_key_is(&nodes[i], s + start, p - start))
					{
						found = true;
						if (n < MAX_SUBSTITUTIONS)
							used[n] = true;
						break;
					}

					/* keeps a hostile text times a hostile object cheap */
					if (n > MAX_SUBSTITUTIONS)
						break;
				}
			}
			if (!found && unknown++ == 0)
				report(c, &text_seg, LN_RULE_PLACEHOLDER_UNKNOWN,
					   "a placeholder has no entry in substitution");
			p++;
		}
	}

	if (subst == 0)
		return;
	if (nodes[subst].count > MAX_SUBSTITUTIONS)
		report(c, &subst_seg, LN_RULE_SUBSTITUTION_COUNT,
			   "%u substitutions, at most %d are allowed",
			   (unsigned) nodes[subst].count, MAX_SUBSTITUTIONS);
	for (i = subst + 1, n = 0; i < nodes[subst].end && n < MAX_SUBSTITUTIONS;
		 i = nodes[i].end, n++)
	{
		const LnJsonNode *node = &nodes[i];
		PathSegment entry_seg = {&subst_seg, node->key, node->key_len, 0};
		PathSegment type_seg = {&entry_seg, LIT("type"), 0};
		uint32_t	type;

		if (!is_key(node->key, node->key_len, MAX_SUBSTITUTION_KEY))
			report(c, &entry_seg, LN_RULE_SUBSTITUTION_KEY_INVALID,
				   "the key must be 1 to %d letters, digits and underscores",
				   MAX_SUBSTITUTION_KEY);
		else if (text_ok && !used[n])
			report(c, &entry_seg, LN_RULE_SUBSTITUTION_UNUSED,
				   "the text does not use it");
		if (node->type != LN_JSON_OBJECT)
		{
			report(c, &entry_seg, LN_RULE_PROPERTY_TYPE, "must be an object");
			continue;
		}
		type = get(c, &entry_seg, i, LIT("type"), LN_JSON_STRING, true);
		if (type == 0)
			continue;
		if (string_is(&nodes[type], LIT("emoji")))
		{
			get(c, &entry_seg, i, LIT("productId"), LN_JSON_STRING, true);
			get(c, &entry_seg, i, LIT("emojiId"), LN_JSON_STRING, true);
		}
		else if (string_is(&nodes[type], LIT("mention")))
		{
			get(c, &entry_seg, i, LIT("mentionee"), LN_JSON_OBJECT, true);
			report(c, &type_seg, LN_RULE_SUBSTITUTION_MENTION,
				   "mentions belong to groups");
		}
		else
			report(c, &type_seg, LN_RULE_SUBSTITUTION_TYPE_UNKNOWN,
				   "must be emoji or mention");
	}
}

/* a text of a template, of which LINE counts grapheme clusters */
static void
check_template_text(Checker *c, const PathSegment *seg, uint32_t object,
					const char *key, size_t len, size_t max, bool required)
{
	check_text(c, seg, object, key, len, max,
			   TEXT_LONG_WARN | (required ? TEXT_REQUIRED : 0));
}

/* the actions of a template or column */
static void
check_template_actions(Checker *c, const PathSegment *seg, uint32_t object,
					   uint32_t min, uint32_t max)
{
	const LnJsonNode *nodes = c->tree->nodes;
	PathSegment actions_seg = {seg, LIT("actions"), 0};
	PathSegment action_seg = {&actions_seg, NULL, 0, 0};
	uint32_t	actions =
	get(c, seg, object, LIT("actions"), LN_JSON_ARRAY, true);
	uint32_t	i;
	uint32_t	n;

	if (actions == 0)
		return;
	if (nodes[actions].count < min || nodes[actions].count > max)
		report(c, &actions_seg, LN_RULE_TEMPLATE_COUNT,
			   "%u actions, LINE documents %u to %u",
			   (unsigned) nodes[actions].count, (unsigned) min,
			   (unsigned) max);
	for (i = actions + 1, n = 0; i < nodes[actions].end && n < MAX_LOOKED_AT;
		 i = nodes[i].end, n++)
	{
		action_seg.index = n;
		check_action_object(c, &action_seg, i, PLACE_TEMPLATE);
	}
}

/* the picture that templates and columns may have elsewhere */
static void
check_template_image(Checker *c, const PathSegment *seg, uint32_t object)
{
	const LnJsonNode *nodes = c->tree->nodes;
	uint32_t	image = ln_json_find(c->tree, object, LIT("thumbnailImageUrl"));

	if (image != 0 && nodes[image].type != LN_JSON_NULL)
	{
		PathSegment image_seg = {seg, LIT("thumbnailImageUrl"), 0};

		report(c, &image_seg, LN_RULE_TEMPLATE_IMAGE,
			   "images are forbidden in notification messages");
	}
}

static void
check_template_message(Checker *c, const PathSegment *seg, uint32_t message)
{
	const LnJsonNode *nodes = c->tree->nodes;
	PathSegment template_seg = {seg, LIT("template"), 0};
	PathSegment type_seg = {&template_seg, LIT("type"), 0};
	uint32_t	template =
	get(c, seg, message, LIT("template"), LN_JSON_OBJECT, true);
	uint32_t	type;

	if (template == 0)
		return;
	type = get(c, &template_seg, template, LIT("type"), LN_JSON_STRING, true);
	if (type == 0)
		return;

	if (string_is(&nodes[type], LIT("buttons")))
	{
		bool		title = get(c, &template_seg, template, LIT("title"),
								LN_JSON_STRING, false) != 0;

		check_template_image(c, &template_seg, template);
		check_template_text(c, &template_seg, template, LIT("title"), 40,
							false);
		check_template_text(c, &template_seg, template, LIT("text"),
							title ? 60 : 160, true);
		check_action(c, &template_seg, template, LIT("defaultAction"),
					 PLACE_FLEX, false);
		check_template_actions(c, &template_seg, template, 1, 4);
	}
	else if (string_is(&nodes[type], LIT("confirm")))
	{
		check_template_text(c, &template_seg, template, LIT("text"), 240,
							true);
		check_template_actions(c, &template_seg, template, 2, 2);
	}
	else if (string_is(&nodes[type], LIT("carousel")))
	{
		PathSegment columns_seg = {&template_seg, LIT("columns"), 0};
		PathSegment column_seg = {&columns_seg, NULL, 0, 0};
		uint32_t	columns = get(c, &template_seg, template, LIT("columns"),
								  LN_JSON_ARRAY, true);
		uint32_t	i;
		uint32_t	n;

		if (columns == 0)
			return;
		if (nodes[columns].count < 1 || nodes[columns].count > 10)
			report(c, &columns_seg, LN_RULE_TEMPLATE_COUNT,
				   "%u columns, LINE documents 1 to 10",
				   (unsigned) nodes[columns].count);
		for (i = columns + 1, n = 0;
			 i < nodes[columns].end && n < MAX_LOOKED_AT;
			 i = nodes[i].end, n++)
		{
			bool		title;

			column_seg.index = n;
			if (nodes[i].type != LN_JSON_OBJECT)
			{
				report(c, &column_seg, LN_RULE_PROPERTY_TYPE,
					   "must be an object");
				continue;
			}
			title = get(c, &column_seg, i, LIT("title"), LN_JSON_STRING,
						false) != 0;
			check_template_image(c, &column_seg, i);
			check_template_text(c, &column_seg, i, LIT("title"), 40, false);
			check_template_text(c, &column_seg, i, LIT("text"),
								title ? 60 : 120, true);
			check_action(c, &column_seg, i, LIT("defaultAction"), PLACE_FLEX,
						 false);
			check_template_actions(c, &column_seg, i, 1, 3);
		}
	}
	else if (string_is(&nodes[type], LIT("image_carousel")))
		report(c, &type_seg, LN_RULE_TEMPLATE_IMAGE,
			   "image carousels are forbidden in notification messages");
	else
		report(c, &type_seg, LN_RULE_TEMPLATE_TYPE_UNKNOWN,
			   "must be buttons, confirm or carousel");
}

/*
 * Actions
 */

static void
check_action(Checker *c, const PathSegment *up, uint32_t object,
			 const char *key, size_t len, ActionPlace place, bool required)
{
	uint32_t	node = get(c, up, object, key, len, LN_JSON_OBJECT, required);
	PathSegment seg = {up, key, len, 0};

	if (node != 0)
		check_action_object(c, &seg, node, place);
}

static void
check_action_object(Checker *c, const PathSegment *seg, uint32_t node,
					ActionPlace place)
{
	const LnJsonNode *nodes = c->tree->nodes;
	PathSegment type_seg = {seg, LIT("type"), 0};
	PathSegment label_seg = {seg, LIT("label"), 0};
	const LnJsonNode *type;
	uint32_t	t;
	uint32_t	label;

	if (nodes[node].type != LN_JSON_OBJECT)
	{
		report(c, seg, LN_RULE_PROPERTY_TYPE, "must be an action object");
		return;
	}
	t = get(c, seg, node, LIT("type"), LN_JSON_STRING, true);
	if (t == 0)
		return;
	type = &nodes[t];

	if (string_is(type, LIT("uri")))
	{
		uint32_t	alt;

		check_url(c, seg, node, LIT("uri"), MAX_URL, true);
		alt = get(c, seg, node, LIT("altUri"), LN_JSON_OBJECT, false);
		if (alt != 0)
		{
			PathSegment alt_seg = {seg, LIT("altUri"), 0};

			check_url(c, &alt_seg, alt, LIT("desktop"), MAX_URL, false);
		}
	}
	else if (string_is(type, LIT("message")))
		check_text(c, seg, node, LIT("text"), MAX_ACTION_DATA, TEXT_REQUIRED);
	else if (string_is(type, LIT("postback")))
	{
		check_text(c, seg, node, LIT("data"), MAX_ACTION_DATA,
				   TEXT_REQUIRED | TEXT_EMPTY_OK | TEXT_BLANK_OK);
		check_text(c, seg, node, LIT("displayText"), MAX_ACTION_DATA,
				   TEXT_EMPTY_OK | TEXT_BLANK_OK);
	}
	else if (string_is(type, LIT("datetimepicker")))
	{
		PathSegment mode_seg = {seg, LIT("mode"), 0};
		uint32_t	mode;

		check_text(c, seg, node, LIT("data"), MAX_ACTION_DATA,
				   TEXT_REQUIRED | TEXT_EMPTY_OK | TEXT_BLANK_OK);
		mode = get(c, seg, node, LIT("mode"), LN_JSON_STRING, true);
		if (mode != 0 && !in_list(nodes[mode].str, nodes[mode].len,
								  "date time datetime"))
			report(c, &mode_seg, LN_RULE_FLEX_VALUE,
				   "must be date, time or datetime");
	}
	else if (string_is(type, LIT("clipboard")))
		check_text(c, seg, node, LIT("clipboardText"), MAX_CLIPBOARD,
				   TEXT_REQUIRED | TEXT_BLANK_OK);
	else if (string_is(type, LIT("richmenuswitch")))
	{
		check_text(c, seg, node, LIT("richMenuAliasId"), MAX_RICH_MENU_ALIAS,
				   TEXT_REQUIRED);
		check_text(c, seg, node, LIT("data"), MAX_ACTION_DATA,
				   TEXT_EMPTY_OK | TEXT_BLANK_OK);
	}
	else if (!in_list(type->str, type->len, "camera cameraRoll location"))
	{
		report(c, &type_seg, LN_RULE_ACTION_TYPE_UNKNOWN,
			   "must be uri, message, postback, datetimepicker, clipboard, richmenuswitch, camera, cameraRoll or location");
		return;
	}

	/*
	 * A label is what people tap on, except where something else is.  LINE
	 * counts it in grapheme clusters, which are never more than what we
	 * count.
	 */
	label = check_text(c, seg, node, LIT("label"), 0,
					   TEXT_EMPTY_OK | TEXT_BLANK_OK);
	if (label != 0)
	{
		size_t		max =
		place == PLACE_FLEX || place == PLACE_FLEX_BUTTON ? 40 : 20;
		TextFacts	facts;

		scan_text(nodes[label].str, nodes[label].len, &facts);
		if (facts.utf16 > max)
			report(c, &label_seg, LN_RULE_ACTION_LABEL,
				   "%zu UTF-16 units long, LINE documents at most %zu",
				   facts.utf16, max);
		else if (facts.blank && place != PLACE_FLEX)
			report(c, &label_seg, LN_RULE_ACTION_LABEL,
				   "nothing to see on the button");
	}
	else if (place != PLACE_FLEX)
		report(c, &label_seg, LN_RULE_ACTION_LABEL,
			   "nothing to see on the button");
}

/*
 * Flex
 */

static void
check_flex_size(Checker *c, const PathSegment *seg, uint32_t node,
				const char *what, LnRule rule, size_t max, size_t warn)
{
	size_t		size;

	/*
	 * Skip the second walk for what cannot be large: escapes make a string at
	 * most six times longer, quotes, comma and colon add six bytes to a node.
	 */
	if (c->tree->n_bytes * 6 + (size_t) c->tree->n_nodes * 8 <= warn)
		return;
	size = json_size(c->tree, node);
	if (size > max)
		report(c, seg, rule, "the %s has %zu bytes, at most %zu are allowed",
			   what, size, max);
	else if (size > warn)
		report(c, seg, LN_RULE_SIZE_NEAR_LIMIT,
			   "the %s has %zu bytes of at most %zu", what, size, max);
}

static void
check_flex_container(Checker *c, const PathSegment *seg, uint32_t node)
{
	const LnJsonNode *nodes = c->tree->nodes;
	PathSegment type_seg = {seg, LIT("type"), 0};
	uint32_t	type = get(c, seg, node, LIT("type"), LN_JSON_STRING, true);

	if (type == 0)
		return;
	if (string_is(&nodes[type], LIT("bubble")))
	{
		check_bubble(c, seg, node);
		check_flex_size(c, seg, node, "bubble", LN_RULE_BUBBLE_TOO_LARGE,
						MAX_BUBBLE_BYTES, WARN_BUBBLE_BYTES);
	}
	else if (string_is(&nodes[type], LIT("carousel")))
	{
		PathSegment contents_seg = {seg, LIT("contents"), 0};
		PathSegment bubble_seg = {&contents_seg, NULL, 0, 0};
		uint32_t	contents =
		get(c, seg, node, LIT("contents"), LN_JSON_ARRAY, true);
		const LnJsonNode *first_size = NULL;
		uint32_t	i;
		uint32_t	n;

		check_flex_size(c, seg, node, "carousel", LN_RULE_CAROUSEL_TOO_LARGE,
						MAX_CAROUSEL_BYTES, WARN_CAROUSEL_BYTES);
		if (contents == 0)
			return;
		if (nodes[contents].count < 1 || nodes[contents].count > MAX_BUBBLES)
			report(c, &contents_seg, LN_RULE_CAROUSEL_COUNT,
				   "%u bubbles, 1 to %d are allowed",
				   (unsigned) nodes[contents].count, MAX_BUBBLES);
		for (i = contents + 1, n = 0;
			 i < nodes[contents].end && n < MAX_LOOKED_AT;
			 i = nodes[i].end, n++)
		{
			static const LnJsonNode default_size = {.str = "mega",.len = 4,.type = LN_JSON_STRING};
			PathSegment bubble_type_seg = {&bubble_seg, LIT("type"), 0};
			PathSegment size_seg = {&bubble_seg, LIT("size"), 0};
			const LnJsonNode *size = &default_size;
			uint32_t	s;

			bubble_seg.index = n;
			if (nodes[i].type != LN_JSON_OBJECT)
			{
				report(c, &bubble_seg, LN_RULE_PROPERTY_TYPE,
					   "must be a bubble");
				continue;
			}
			type = get(c, &bubble_seg, i, LIT("type"), LN_JSON_STRING, true);
			if (type == 0)
				continue;
			if (!string_is(&nodes[type], LIT("bubble")))
			{
				report(c, &bubble_type_seg, LN_RULE_FLEX_CONTAINER_UNKNOWN,
					   "a carousel consists of bubbles");
				find_media(c, &bubble_seg, i);
				continue;
			}
			check_bubble(c, &bubble_seg, i);
			check_flex_size(c, &bubble_seg, i, "bubble",
							LN_RULE_BUBBLE_TOO_LARGE, MAX_BUBBLE_BYTES,
							WARN_BUBBLE_BYTES);
			s = ln_json_find(c->tree, i, LIT("size"));
			if (s != 0 && nodes[s].type == LN_JSON_STRING)
				size = &nodes[s];
			if (first_size == NULL)
				first_size = size;
			else if (!string_is(first_size, size->str, size->len))
				report(c, &size_seg, LN_RULE_CAROUSEL_SIZES,
					   "the bubbles of a carousel must be of one size");
		}
	}
	else
	{
		report(c, &type_seg, LN_RULE_FLEX_CONTAINER_UNKNOWN,
			   "must be bubble or carousel");
		find_media(c, seg, node);
	}
}

static void
check_bubble(Checker *c, const PathSegment *seg, uint32_t node)
{
	const LnJsonNode *nodes = c->tree->nodes;
	uint32_t	i;

	for (i = node + 1; i < nodes[node].end; i = nodes[i].end)
	{
		const LnJsonNode *child = &nodes[i];
		PathSegment child_seg = {seg, child->key, child->key_len, 0};

		if (child->type == LN_JSON_NULL)
			continue;
		if (ln_json_key_is(child, LIT("header")) ||
			ln_json_key_is(child, LIT("hero")) ||
			ln_json_key_is(child, LIT("body")) ||
			ln_json_key_is(child, LIT("footer")))
			check_component(c, &child_seg, i, PARENT_BLOCK);
		else if (ln_json_key_is(child, LIT("action")))
			check_action(c, seg, node, LIT("action"), PLACE_FLEX, false);
		else if (child->type == LN_JSON_OBJECT || child->type == LN_JSON_ARRAY)
			find_media(c, &child_seg, i);
	}
	check_flex_properties(c, seg, node);
	check_spelling(c, seg, node,
				   "type size direction header hero body footer styles action");
}

/* recursive; the depth of the tree is bounded */
static void
check_component(Checker *c, const PathSegment *seg, uint32_t node,
				FlexParent parent)
{
	const LnJsonNode *nodes = c->tree->nodes;
	PathSegment type_seg = {seg, LIT("type"), 0};
	PathSegment contents_seg = {seg, LIT("contents"), 0};
	const LnJsonNode *type;
	bool		has_contents = false;
	FlexParent	as_parent = PARENT_BOX;
	uint32_t	t;
	uint32_t	i;

	if (nodes[node].type != LN_JSON_OBJECT)
	{
		report(c, seg, LN_RULE_PROPERTY_TYPE, "must be a Flex component");
		return;
	}
	t = get(c, seg, node, LIT("type"), LN_JSON_STRING, true);
	if (t == 0)
	{
		find_media(c, seg, node);
		return;
	}
	type = &nodes[t];

	if (in_list(type->str, type->len, "image video audio imagemap"))
	{
		report(c, seg, LN_RULE_FLEX_MEDIA,
			   "images and videos are forbidden in notification messages");
		return;
	}

	if (parent == PARENT_BLOCK && !string_is(type, LIT("box")))
		report(c, seg, LN_RULE_FLEX_BLOCK, "must be a box");
	else if (parent == PARENT_BASELINE &&
			 in_list(type->str, type->len, "box button separator span"))
		report(c, seg, LN_RULE_FLEX_CHILD,
			   "LINE documents icon, text and filler inside a baseline box");
	else if (parent == PARENT_BOX &&
			 in_list(type->str, type->len, "icon span"))
		report(c, seg, LN_RULE_FLEX_CHILD,
			   string_is(type, LIT("icon")) ?
			   "LINE documents an icon inside a baseline box only" :
			   "LINE documents a span inside a text only");
	else if (parent == PARENT_TEXT && !string_is(type, LIT("span")))
		report(c, seg, LN_RULE_FLEX_CHILD,
			   "LINE documents spans inside a text");

	if (string_is(type, LIT("box")))
	{
		PathSegment layout_seg = {seg, LIT("layout"), 0};
		uint32_t	layout =
		get(c, seg, node, LIT("layout"), LN_JSON_STRING, true);

		if (layout != 0)
		{
			if (string_is(&nodes[layout], LIT("baseline")))
				as_parent = PARENT_BASELINE;
			else if (!in_list(nodes[layout].str, nodes[layout].len,
							  "horizontal vertical"))
				report(c, &layout_seg, LN_RULE_FLEX_LAYOUT,
					   "must be horizontal, vertical or baseline");
		}
		has_contents =
			get(c, seg, node, LIT("contents"), LN_JSON_ARRAY, true) != 0;
		check_action(c, seg, node, LIT("action"), PLACE_FLEX, false);
	}
	else if (string_is(type, LIT("text")))
	{
		has_contents =
			get(c, seg, node, LIT("contents"), LN_JSON_ARRAY, false) != 0;
		as_parent = PARENT_TEXT;
		check_text(c, seg, node, LIT("text"), 0,
				   has_contents ? TEXT_EMPTY_OK | TEXT_BLANK_OK :
				   TEXT_REQUIRED | TEXT_BLANK_WARN);
		check_action(c, seg, node, LIT("action"), PLACE_FLEX, false);
	}
	else if (string_is(type, LIT("span")))
		check_text(c, seg, node, LIT("text"), 0,
				   TEXT_REQUIRED | TEXT_BLANK_OK);
	else if (string_is(type, LIT("button")))
		check_action(c, seg, node, LIT("action"), PLACE_FLEX_BUTTON, true);
	else if (string_is(type, LIT("icon")))
	{
		check_url(c, seg, node, LIT("url"), MAX_IMAGE_URL, true);
		report(c, seg, LN_RULE_FLEX_ICON,
			   "an icon is likely to be refused in the review unless it is one of LINE's own");
	}
	else if (!in_list(type->str, type->len, "separator filler"))
	{
		report(c, &type_seg, LN_RULE_FLEX_COMPONENT_UNKNOWN,
			   "must be box, button, icon, text, span, separator or filler");
		find_media(c, seg, node);
		return;
	}

	for (i = node + 1; i < nodes[node].end; i = nodes[i].end)
	{
		const LnJsonNode *child = &nodes[i];

		if (child->type != LN_JSON_OBJECT && child->type != LN_JSON_ARRAY)
			continue;
		if (has_contents && ln_json_key_is(child, LIT("contents")))
		{
			PathSegment element_seg = {&contents_seg, NULL, 0, 0};
			uint32_t	k;

			for (k = i + 1; k < child->end; k = nodes[k].end)
			{
				check_component(c, &element_seg, k, as_parent);
				element_seg.index++;
			}
		}
		else if (!ln_json_key_is(child, LIT("action")))
		{
			PathSegment child_seg = {seg, child->key, child->key_len, 0};

			find_media(c, &child_seg, i);
		}
	}
	check_flex_properties(c, seg, node);
}

/* warns of values outside LINE's lists */
static void
check_flex_properties(Checker *c, const PathSegment *seg, uint32_t node)
{
	const LnJsonNode *nodes = c->tree->nodes;
	const LnJsonNode *type = &nodes[ln_json_find(c->tree, node, LIT("type"))];
	uint32_t	i;
	size_t		k;

	if (!c->out->warnings)
		return;
	for (i = node + 1; i < nodes[node].end; i = nodes[i].end)
	{
		const LnJsonNode *child = &nodes[i];
		PathSegment child_seg = {seg, child->key, child->key_len, 0};

		for (k = 0; k < sizeof(flex_properties) / sizeof(flex_properties[0]);
			 k++)
		{
			const FlexProperty *p = &flex_properties[k];
			LnJsonType	child_type = child->type;

			if (!ln_json_key_is(child, p->key, p->len) ||
				(p->component != NULL &&
				 !string_is(type, p->component, strlen(p->component))))
				continue;
			if (child_type == LN_JSON_FALSE)
				child_type = LN_JSON_TRUE;
			if (child_type == LN_JSON_NULL)
				continue;
			if (child_type != p->type)
				report(c, &child_seg, LN_RULE_FLEX_VALUE, "must be a %s",
					   p->type == LN_JSON_NUMBER ? "number" :
					   p->type == LN_JSON_TRUE ? "boolean" : "string");
			else if (p->values != NULL &&
					 !in_list(child->str, child->len, p->values))
				report(c, &child_seg, LN_RULE_FLEX_VALUE,
					   "LINE documents the values: %s", p->values);
		}
	}
}

/*
 * Looks for images and the like below a property that we do not know; one
 * finding for each.
 */
static void
find_media(Checker *c, const PathSegment *seg, uint32_t node)
{
	const LnJsonNode *nodes = c->tree->nodes;
	bool		in_array = nodes[node].type == LN_JSON_ARRAY;
	PathSegment child_seg = {seg, NULL, 0, 0};
	uint32_t	i;

	if (nodes[node].type == LN_JSON_OBJECT)
	{
		uint32_t	type = ln_json_find(c->tree, node, LIT("type"));

		if (type != 0 && nodes[type].type == LN_JSON_STRING &&
			in_list(nodes[type].str, nodes[type].len,
					"image video audio imagemap image_carousel"))
		{
			report(c, seg, LN_RULE_FLEX_MEDIA,
				   "images and videos are forbidden in notification messages");
			return;
		}
	}
	for (i = node + 1; i < nodes[node].end; i = nodes[i].end)
	{
		if (nodes[i].type == LN_JSON_OBJECT || nodes[i].type == LN_JSON_ARRAY)
		{
			child_seg.key = in_array ? NULL : nodes[i].key;
			child_seg.len = in_array ? 0 : nodes[i].key_len;
			find_media(c, &child_seg, i);
		}
		child_seg.index++;
	}
}

/*
 * Aggregation units
 */

static void
check_units(Checker *c, const PathSegment *seg, uint32_t units)
{
	const LnJsonNode *nodes = c->tree->nodes;
	PathSegment unit_seg = {seg, NULL, 0, 0};
	uint32_t	i;

	if (nodes[units].type == LN_JSON_NULL)
		return;
	if (nodes[units].type != LN_JSON_ARRAY)
	{
		report(c, seg, LN_RULE_PROPERTY_TYPE, "must be an array");
		return;
	}
	if (nodes[units].count > 1)
		report(c, seg, LN_RULE_AGGREGATION_UNITS_COUNT,
			   "%u units, at most 1 is allowed", (unsigned) nodes[units].count);
	for (i = units + 1; i < nodes[units].end && unit_seg.index < MAX_LOOKED_AT;
		 i = nodes[i].end)
	{
		if (nodes[i].type != LN_JSON_STRING)
			report(c, &unit_seg, LN_RULE_PROPERTY_TYPE, "must be a string");
		else
			check_unit_name(c, &unit_seg, nodes[i].str, nodes[i].len);
		unit_seg.index++;
	}
}

static void
check_unit_name(Checker *c, const PathSegment *seg,
				const char *unit, size_t len)
{
	if (!is_key(unit, len, MAX_UNIT))
		report(c, seg, LN_RULE_AGGREGATION_UNIT_INVALID,
			   "must be 1 to %d letters, digits and underscores", MAX_UNIT);
}

/*
 * Properties
 */

/*
 * The member of an object when it has the type, else 0, after a report if it
 * has another type, or is missing and required.  null counts as missing.
 */
static uint32_t
get(Checker *c, const PathSegment *up, uint32_t object,
	const char *key, size_t len, LnJsonType type, bool required)
{
	static const char *const names[] =
	{
		"null", "a boolean", "a boolean", "a number", "a string", "an array",
		"an object"
	};
	uint32_t	node = ln_json_find(c->tree, object, key, len);
	PathSegment seg = {up, key, len, 0};

	if (node == 0)
	{
		if (required)
			report(c, &seg, LN_RULE_PROPERTY_MISSING, "is required");
		return 0;
	}
	if (c->tree->nodes[node].type == LN_JSON_NULL)
	{
		if (required)
			report(c, &seg, LN_RULE_PROPERTY_MISSING, "is required");
		return 0;
	}
	if (c->tree->nodes[node].type != type)
	{
		report(c, &seg, LN_RULE_PROPERTY_TYPE, "must be %s", names[type]);
		return 0;
	}
	return node;
}

/*
 * The same for a text that comes from data, where null is a value that was
 * NULL and not a mistake in the program.
 */
static uint32_t
get_value(Checker *c, const PathSegment *up, uint32_t object,
		  const char *key, size_t len, bool required)
{
	uint32_t	node = ln_json_find(c->tree, object, key, len);
	PathSegment seg = {up, key, len, 0};

	if (node != 0 && required && c->tree->nodes[node].type == LN_JSON_NULL)
	{
		report(c, &seg, LN_RULE_VALUE_NULL, "is null");
		return 0;
	}
	return get(c, up, object, key, len, LN_JSON_STRING, required);
}

/*
 * A text of at most max UTF-16 units (0: any).  Returns its node when it is
 * there and valid UTF-8.
 */
static uint32_t
check_text(Checker *c, const PathSegment *up, uint32_t object,
		   const char *key, size_t len, size_t max, int flags)
{
	uint32_t	node = get_value(c, up, object, key, len,
								 (flags & TEXT_REQUIRED) != 0);
	PathSegment seg = {up, key, len, 0};
	TextFacts	facts;

	if (node == 0)
		return 0;
	scan_text(c->tree->nodes[node].str, c->tree->nodes[node].len, &facts);

	if (facts.invalid)
	{
		report(c, &seg, LN_RULE_INVALID_UTF8, "is not valid UTF-8");
		return 0;
	}
	if (facts.utf16 == 0)
	{
		if (!(flags & TEXT_EMPTY_OK))
			report(c, &seg, LN_RULE_VALUE_EMPTY, "is empty");
	}
	else if (facts.blank && !(flags & TEXT_BLANK_OK))
		report(c, &seg, flags & TEXT_BLANK_WARN ?
			   LN_RULE_FLEX_TEXT_BLANK : LN_RULE_VALUE_BLANK,
			   "consists of blanks only");
	if (max > 0 && facts.utf16 > max)
	{
		if (flags & TEXT_LONG_WARN)
			report(c, &seg, LN_RULE_TEMPLATE_TEXT_LONG,
				   "%zu UTF-16 units long, LINE documents at most %zu", facts.utf16, max);
		else
			report(c, &seg, LN_RULE_VALUE_TOO_LONG,
				   "%zu UTF-16 units long, at most %zu are allowed", facts.utf16, max);
	}
	if (facts.control)
		report(c, &seg, LN_RULE_CONTROL_CHARACTER,
			   "contains a control character");
	if (facts.tab_or_return)
		report(c, &seg, LN_RULE_TAB_OR_RETURN,
			   "contains a tab or a carriage return");
	if (facts.line_break && (flags & TEXT_NO_BREAKS))
		report(c, &seg, LN_RULE_LINE_BREAK, "contains a line break");
	if (facts.bidi)
		report(c, &seg, LN_RULE_BIDI_CONTROL,
			   "contains a character that changes the writing direction");
	return node;
}

static bool
has_prefix(const char *str, size_t len, const char *prefix, size_t plen)
{
	size_t		i;

	if (len < plen)
		return false;
	for (i = 0; i < plen; i++)
	{
		char		ch = str[i];

		if (ch >= 'A' && ch <= 'Z')
			ch += 'a' - 'A';
		if (ch != prefix[i])
			return false;
	}
	return true;
}

static bool
is_hex(char ch)
{
	return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f') ||
		(ch >= 'A' && ch <= 'F');
}

static void
check_url(Checker *c, const PathSegment *up, uint32_t object,
		  const char *key, size_t len, size_t max, bool required)
{
	uint32_t	node = get_value(c, up, object, key, len, required);
	PathSegment seg = {up, key, len, 0};
	const char *url;
	size_t		urllen;
	size_t		i;
	TextFacts	facts;
	bool		web;

	if (node == 0)
		return;
	url = c->tree->nodes[node].str;
	urllen = c->tree->nodes[node].len;
	if (urllen == 0)
	{
		report(c, &seg, LN_RULE_VALUE_EMPTY, "is empty");
		return;
	}
	scan_text(url, urllen, &facts);
	if (facts.utf16 > max)
		report(c, &seg, LN_RULE_VALUE_TOO_LONG,
			   "%zu UTF-16 units long, at most %zu are allowed", facts.utf16, max);

	web = true;
	if (has_prefix(url, urllen, LIT("https://")))
		i = 8;
	else if (has_prefix(url, urllen, LIT("http://")))
	{
		i = 7;
		report(c, &seg, LN_RULE_URL_NOT_HTTPS,
			   "https is safer and looks better");
	}
	else if (has_prefix(url, urllen, LIT("line:")) ||
			 has_prefix(url, urllen, LIT("tel:")))
	{
		i = url[0] == 'l' || url[0] == 'L' ? 5 : 4;
		web = false;
		if (ln_json_key_is(&c->tree->nodes[node], LIT("url")))
			report(c, &seg, LN_RULE_URL_NOT_HTTPS,
				   "LINE does not document line: and tel: here");
	}
	else
	{
		report(c, &seg, LN_RULE_URL_SCHEME,
			   "must begin with https://, http://, line: or tel:");
		return;
	}

	if (i == urllen || (web && strchr("/?#:@", url[i]) != NULL))
	{
		report(c, &seg, LN_RULE_URL_MALFORMED, "has no host");
		return;
	}
	for (; i < urllen; i++)
	{
		unsigned char ch = (unsigned char) url[i];

		/* RFC 3986: what is neither reserved nor unreserved */
		if (ch <= ' ' || ch >= 0x7F || strchr("\"<>\\^`{|}", ch) != NULL)
		{
			report(c, &seg, LN_RULE_URL_MALFORMED,
				   "character %zu must be percent-encoded as UTF-8", i + 1);
			return;
		}
		if (ch == '%' &&
			(i + 2 >= urllen || !is_hex(url[i + 1]) || !is_hex(url[i + 2])))
		{
			report(c, &seg, LN_RULE_URL_MALFORMED,
				   "the %% at character %zu is not followed by two hex digits", i + 1);
			return;
		}
	}
}

/* the next significant character of a name, '\0' at the end */
static char
fold_name(const char **p, const char *end)
{
	while (*p < end && (**p == '_' || **p == '-' || **p == ' '))
		(*p)++;
	if (*p >= end)
		return '\0';
	if (**p >= 'A' && **p <= 'Z')
		return *(*p)++ + ('a' - 'A');
	return *(*p)++;
}

/*
 * Warns of properties that equal one of the names (separated by blanks) but
 * for case, underscores and hyphens.
 */
static void
check_spelling(Checker *c, const PathSegment *seg, uint32_t object,
			   const char *names)
{
	const LnJsonNode *nodes;
	uint32_t	i;

	if (!c->out->warnings)
		return;
	nodes = c->tree->nodes;
	for (i = object + 1; i < nodes[object].end; i = nodes[i].end)
	{
		const LnJsonNode *child = &nodes[i];
		const char *name;
		const char *name_end;

		if (in_list(child->key, child->key_len, names))
			continue;
		for (name = names; *name != '\0';
			 name = *name_end ? name_end + 1 : name_end)
		{
			const char *p = name;
			const char *q = child->key;
			const char *q_end = child->key + child->key_len;
			char		a;
			char		b;

			name_end = name + strcspn(name, " ");
			do
			{
				a = fold_name(&p, name_end);
				b = fold_name(&q, q_end);
			} while (a == b && a != '\0');
			if (a == b)
			{
				PathSegment child_seg = {seg, child->key, child->key_len, 0};

				report(c, &child_seg, LN_RULE_PROPERTY_MISSPELT,
					   "LINE's name is \"%.*s\"", (int) (name_end - name), name);
				break;
			}
		}
	}
}

/*
 * Helpers
 */

/* bytes of a string in JSON, with its quotes */
static size_t
string_size(const char *str, size_t len)
{
	size_t		size = len + 2;
	size_t		i;

	for (i = 0; i < len; i++)
	{
		unsigned char ch = (unsigned char) str[i];

		if (ch == '"' || ch == '\\')
			size += 1;

		else if (ch < ' ')
			size += strchr("\b\f\n\r\t", ch) != NULL && ch != '\0' ? 1 : 5;
	}
	return size;
}

/* bytes of a subtree as JSON without blanks */
static size_t
json_size(const LnJsonTree *tree, uint32_t node)
{
	size_t		size = 0;
	uint32_t	i;

	for (i = node; i < tree->nodes[node].end; i++)
	{
		const LnJsonNode *n = &tree->nodes[i];

		if (n->key != NULL && i != node)
			size += string_size(n->key, n->key_len) + 1;	/* colon */

		switch (n->type)
		{
			case LN_JSON_NULL:
			case LN_JSON_TRUE:
				size += 4;
				break;
			case LN_JSON_FALSE:
				size += 5;
				break;
			case LN_JSON_NUMBER:
				size += n->len;
				break;
			case LN_JSON_STRING:
				size += string_size(n->str, n->len);
				break;
			case LN_JSON_ARRAY:
			case LN_JSON_OBJECT:
				size += 2 + (n->count > 1 ? n->count - 1 : 0);	/* commas */
				break;
		}
	}
	return size;
}

/* the length of a valid UTF-8 sequence at p, 0 when it is none */
static int
utf8_sequence(const unsigned char *p, const unsigned char *end, uint32_t *code)
{
	int			n;
	int			i;
	uint32_t	c;

	if (*p < 0xC2 || *p > 0xF4)
		return 0;
	n = *p < 0xE0 ? 2 : *p < 0xF0 ? 3 : 4;
	if (end - p < n)
		return 0;
	c = *p & (0xFF >> (n + 1));
	for (i = 1; i < n; i++)
	{
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3F);
	}
	if ((n == 3 && (c < 0x800 || (c >= 0xD800 && c <= 0xDFFF))) ||
		(n == 4 && (c < 0x10000 || c > 0x10FFFF)))
		return 0;
	*code = c;
	return n;
}

static void
scan_text(const char *str, size_t len, TextFacts *facts)
{
	const unsigned char *p = (const unsigned char *) str;
	const unsigned char *end = p + len;

	memset(facts, 0, sizeof(*facts));
	facts->blank = true;
	while (p < end)
	{
		if (*p < 0x80)
		{
			if (*p > ' ' && *p != 0x7F)
				facts->blank = false;
			else if (*p == '\n')
				facts->line_break = true;
			else if (*p == '\t' || *p == '\r')
				facts->tab_or_return = true;
			else if (*p != ' ')
				facts->control = true;
			facts->utf16++;
			p++;
		}
		else
		{
			uint32_t	c;
			int			n = utf8_sequence(p, end, &c);

			if (n == 0)
			{
				facts->invalid = true;
				return;
			}
			if (c < 0xA0)
				facts->control = true;
			else if ((c >= 0x202A && c <= 0x202E) ||
					 (c >= 0x2066 && c <= 0x2069))
				facts->bidi = true;
			else if (!(c == 0xA0 || c == 0x3000 || c == 0xFEFF ||
					   c == 0x3164 || (c >= 0x2000 && c <= 0x200F) ||
					   c == 0x2028 || c == 0x2029 || c == 0x202F ||
					   c == 0x205F || c == 0x2060))
				facts->blank = false;
			facts->utf16 += n == 4 ? 2 : 1;

			p += n;
		}
	}
}

/* 1 to max letters, digits and underscores */
static bool
is_key(const char *str, size_t len, size_t max)
{
	size_t		i;

	if (len < 1 || len > max)
		return false;
	for (i = 0; i < len; i++)
	{
		char		ch = str[i];

		if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
			  (ch >= '0' && ch <= '9') || ch == '_'))
			return false;
	}
	return true;
}

static bool
string_is(const LnJsonNode *node, const char *str, size_t len)
{
	return node->type == LN_JSON_STRING && node->len == len &&
		memcmp(node->str, str, len) == 0;
}

/* is str one of the words, which are separated by single blanks? */
static bool
in_list(const char *str, size_t len, const char *list)
{
	for (;;)
	{
		size_t		i;

		for (i = 0;
			 i < len && list[i] == str[i] && list[i] != ' ' && list[i] != '\0';
			 i++)
			;
		if (i == len && len > 0 && (list[i] == ' ' || list[i] == '\0'))
			return true;
		for (list += i; *list != ' '; list++)
		{
			if (*list == '\0')
				return false;
		}
		list++;
	}
}

/*
 * Appends a property name to a path: as it is when it is an identifier, else
 * quoted, without what could break a log line, and cut.
 */
static size_t
append_name(char *buf, size_t room, const char *name, size_t len, bool first)
{
	size_t		used = 0;
	size_t		i;
	bool		plain = len > 0 && len <= 64;

	for (i = 0; plain && i < len; i++)
	{
		char		ch = name[i];

		plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
			(ch >= '0' && ch <= '9') || ch == '_' || (first && ch == '[') ||
			(first && ch == ']') || (first && ch == '.');
	}
	if (plain)
	{
		if (!first && used < room)
			buf[used++] = '.';
		for (i = 0; i < len && used < room; i++)
			buf[used++] = name[i];
		return used;
	}

	if (room < 80)
		return room;			/* counts as cut */
	memcpy(buf, "[\"", 2);
	used = 2;
	for (i = 0; i < len;)
	{
		unsigned char ch = (unsigned char) name[i];
		uint32_t	code;
		int			n = 1;

		if (used > 64)
		{
			memcpy(buf + used, "...", 3);
			used += 3;
			break;
		}
		if (ch >= 0x80)
			n = utf8_sequence((const unsigned char *) name + i,
							  (const unsigned char *) name + len, &code);
		if (n > 1 && code >= 0xA0)
		{
			memcpy(buf + used, name + i, n);
			used += n;
		}
		else
			buf[used++] =
				n == 1 && ch >= ' ' && ch < 0x7F && ch != '"' && ch != '\\'
				? (char) ch
				: '?';
		i += n > 0 ? n : 1;
	}
	memcpy(buf + used, "\"]", 2);
	return used + 2;
}

static void
build_path(char *buf, const PathSegment *seg)
{
	/* the segments from the root down; deeper ones than fit are cut anyway */
	const PathSegment *stack[2 * LN_JSON_MAX_DEPTH + 16];
	int			n = 0;
	size_t		used = 0;
	const size_t room = LN_FINDING_PATH_LEN - 4;	/* for "..." and the end */

	for (; seg != NULL && n < (int) (sizeof(stack) / sizeof(stack[0]));
		 seg = seg->up)
		stack[n++] = seg;
	while (n-- > 0)
	{
		size_t		before = used;

		seg = stack[n];
		if (seg->key != NULL)
			used += append_name(buf + used, room - used, seg->key, seg->len,
								used == 0);
		else
		{
			char		index[16];
			size_t		len = (size_t) snprintf(index, sizeof(index), "[%u]",
												(unsigned) seg->index);

			if (len <= room - used)
				memcpy(buf + used, index, len);
			used += len <= room - used ? len : room - used;
		}
		if (used >= room)
		{
			memcpy(buf + before, "...", 3);
			used = before + 3;
			break;
		}
	}
	buf[used] = '\0';
}

static void
report(Checker *c, const PathSegment *seg, LnRule rule, const char *fmt,...)
{
	const LnRuleInfo *info = &ln_message_rules[rule];
	LnFinding	finding;
	va_list		args;

	if (info->severity == LN_SEVERITY_WARNING && !c->out->warnings)
		return;
	if (info->severity == LN_SEVERITY_ERROR)
		c->out->n_errors++;
	if (c->out->first_only)
	{
		/* a statement fault comes before any row fault */
		if (c->out->seen[LN_FAULT_STATEMENT] || c->out->seen[info->fault])
			return;
		c->out->seen[info->fault] = true;
	}
	if (c->out->n_findings > c->out->max_findings)
		return;
	if (c->out->n_findings++ == c->out->max_findings)
	{
		if (!c->out->warnings)
			return;
		finding.rule = LN_RULE_TOO_MANY_FINDINGS;
		finding.path[0] = '\0';
		snprintf(finding.message, sizeof(finding.message),
				 "more than %d findings", c->out->max_findings);
		c->out->sink(c->out->arg, &finding);
		return;
	}

	finding.rule = rule;
	build_path(finding.path, seg);
	va_start(args, fmt);
	vsnprintf(finding.message, sizeof(finding.message), fmt, args);
	va_end(args);
	c->out->sink(c->out->arg, &finding);
}
