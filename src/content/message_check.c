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
 * What stands in a flexible message is checked in flexible_check.c, by a table
 * computed from LINE's own description of its API.  Template messages are
 * checked here by hand, because that description has nothing about them (of
 * notification messages it knows POST /bot/pnp/push only): the limits are
 * those of LINE's reference, "Send LINE notification message (template)".
 * check_common.c has what both need.
 *
 * Properties and message types that we do not know are warnings, since LINE
 * adds some without notice; a channel may refuse them.  Lengths are UTF-16
 * units ("Character counting" in LINE's guide).
 *
 *-------------------------------------------------------------------------
 */
#include "content/check_common.h"

/* Limits that LINE's reference has for notification messages. */
#define MAX_ITEMS				15
#define MAX_BUTTONS				2
#define MAX_EMPHASIZED			15	/* UTF-16 units is our reading */
#define MAX_CONTENT				300 /* the same */
#define MAX_URL					1000
#define MAX_UNIT				30

/*
 * LINE says 2 MB and not whether M is 1000 or 1024 squared, so we refuse above
 * the larger reading.  {"to":"<64 hex digits>", makes 72 bytes that we do not
 * see.
 */
#define MAX_REQUEST_BYTES		(2 * 1024 * 1024 - 72)

const LnRuleInfo ln_message_rules[LN_RULE_COUNT] =
{
#define ERROR LN_SEVERITY_ERROR
#define WARNING LN_SEVERITY_WARNING
#define STATEMENT LN_FAULT_STATEMENT
#define ROW LN_FAULT_ROW
#define LN_RULE(symbol, name, severity, fault, description) \
	{name, severity, fault, description},
#include "content/message_rules.h"
#undef LN_RULE
#undef ERROR
#undef WARNING
#undef STATEMENT
#undef ROW
};

static void check_template_body(LnChecker *c, const LnPathSegment *seg,
								uint32_t body);
static void check_size(LnChecker *c, const LnPathSegment *seg);
static void check_template_key(LnChecker *c, const LnPathSegment *up,
							   const char *key, size_t len);
static void check_units(LnChecker *c, const LnPathSegment *seg,
						uint32_t units);
static const char *encoded_twice(const LnJsonNode *root);
static void check_unit_name(LnChecker *c, const LnPathSegment *seg,
							const char *unit, size_t len);

/*
 * The whole request minus "to".
 */
void
ln_message_check_request(LnCheck *check, LnMessageKind kind,
						 const LnJsonTree *request)
{
	LnChecker	c = {check, request};
	const LnJsonNode *root = &request->nodes[0];
	uint32_t	i;

	if (root->type != LN_JSON_OBJECT)
	{
		ln_check_report(&c, NULL, LN_RULE_PAYLOAD_TYPE,
						"the payload must be a JSON object%s",
						encoded_twice(root));
		return;
	}

	check_size(&c, NULL);
	for (i = 1; i < root->end; i = request->nodes[i].end)
	{
		const LnJsonNode *node = &request->nodes[i];
		LnPathSegment seg = {NULL, node->key, node->key_len, 0};

		if (ln_json_key_is(node, LIT("to")))
			ln_check_report(&c, &seg, LN_RULE_TO_NOT_ALLOWED,
							"the recipient is filled in by the outbox");
		else if (ln_json_key_is(node, LIT("customAggregationUnits")))
			check_units(&c, &seg, i);
		else if (ln_json_key_is(node, LIT("notificationDisabled")))
		{
			if (node->type != LN_JSON_TRUE && node->type != LN_JSON_FALSE &&
				node->type != LN_JSON_NULL)
				ln_check_report(&c, &seg, LN_RULE_PROPERTY_TYPE,
								"must be true or false");
			else if (kind == LN_MESSAGE_TEMPLATE && node->type != LN_JSON_NULL)
				ln_check_report(&c, &seg, LN_RULE_NOTIFICATION_DISABLED,
								"LINE documents this for flexible"
								" messages only");
		}
		else if (kind == LN_MESSAGE_TEMPLATE ?
				 ln_json_key_is(node, LIT("messages")) :
				 (ln_json_key_is(node, LIT("templateKey")) ||
				  ln_json_key_is(node, LIT("body"))))
			ln_check_report(&c, &seg, LN_RULE_WRONG_KIND,
							kind == LN_MESSAGE_TEMPLATE ?
							"this belongs to flexible messages" :
							"this belongs to template messages");
	}

	if (kind == LN_MESSAGE_TEMPLATE)
	{
		uint32_t	key =
		ln_check_get(&c, NULL, 0, LIT("templateKey"), LN_JSON_STRING, true);
		uint32_t	body = ln_check_get(&c, NULL, 0, LIT("body"),
										LN_JSON_OBJECT, false);

		if (key != 0)
			check_template_key(&c, NULL, request->nodes[key].str,
							   request->nodes[key].len);
		if (body != 0)
		{
			LnPathSegment seg = {NULL, LIT("body"), 0};

			check_template_body(&c, &seg, body);
		}
		ln_check_names(&c, NULL, 0,
					   "templateKey body customAggregationUnits"
					   " notificationDisabled to messages");
	}
	else
	{
		uint32_t	list = ln_check_get(&c, NULL, 0, LIT("messages"),
										LN_JSON_ARRAY, true);

		if (list != 0)
		{
			LnPathSegment seg = {NULL, LIT("messages"), 0};

			ln_flexible_check(&c, &seg, list);
		}
		ln_check_names(&c, NULL, 0,
					   "messages customAggregationUnits"
					   " notificationDisabled to templateKey body");
	}
}

/* What several drivers do to a text: they encode it as JSON. */
static const char *
encoded_twice(const LnJsonNode *root)
{
	return root->type == LN_JSON_STRING ?
		", and is a string: perhaps it was encoded twice" : "";
}

void
ln_message_check_template(LnCheck *check, const char *key, size_t keylen,
						  const LnJsonTree *body)
{
	LnChecker	c = {check, body};

	check_template_key(&c, NULL, key, keylen);
	if (body != NULL && body->nodes[0].type != LN_JSON_NULL)
	{
		LnPathSegment seg = {NULL, LIT("body"), 0};

		if (body->nodes[0].type != LN_JSON_OBJECT)
			ln_check_report(&c, &seg, LN_RULE_PAYLOAD_TYPE,
							"the body must be a JSON object%s",
							encoded_twice(&body->nodes[0]));
		else
		{
			check_size(&c, &seg);
			check_template_body(&c, &seg, 0);
		}
	}
}

void
ln_message_check_messages(LnCheck *check, const LnJsonTree *messages)
{
	LnChecker	c = {check, messages};
	LnPathSegment seg = {NULL, LIT("messages"), 0};

	if (messages->nodes[0].type != LN_JSON_ARRAY)
	{
		ln_check_report(&c, &seg, LN_RULE_PAYLOAD_TYPE,
						"the messages must be a JSON array%s",
						encoded_twice(&messages->nodes[0]));
		return;
	}
	check_size(&c, &seg);
	ln_flexible_check(&c, &seg, 0);
}

void
ln_message_check_unit(LnCheck *check, const char *unit, size_t len)
{
	LnChecker	c = {check, NULL};
	LnPathSegment units = {NULL, LIT("customAggregationUnits"), 0};
	LnPathSegment seg = {&units, NULL, 0, 0};

	check_unit_name(&c, &seg, unit, len);
}

void
ln_message_report(LnCheck *check, LnRule rule, const char *path,
				  const char *message)
{
	LnChecker	c = {check, NULL};
	LnPathSegment seg = {NULL, path, strlen(path), 0};

	ln_check_report(&c, path[0] ? &seg : NULL, rule, "%s", message);
}

static void
check_size(LnChecker *c, const LnPathSegment *seg)
{
	if (ln_check_may_exceed(c->tree, MAX_REQUEST_BYTES) &&
		ln_check_json_size(c->tree, 0) > MAX_REQUEST_BYTES)
		ln_check_report(c, seg, LN_RULE_REQUEST_TOO_LARGE,
						"the request has more than 2 MB");
}

/*
 * Template messages
 */

static void
check_template_key(LnChecker *c, const LnPathSegment *up,
				   const char *key, size_t len)
{
	LnPathSegment seg = {up, LIT("templateKey"), 0};

	if (!ln_check_is_key(key, len, LN_CHECK_MAX_KEY))
		ln_check_report(c, &seg, LN_RULE_TEMPLATE_KEY_INVALID,
						"must be 1 to %d letters, digits and"
						" underscores", LN_CHECK_MAX_KEY);
}

/*
 * The key of an item or button.  seen are the n_seen keys before it, all of
 * which are where.
 */
static void
check_member_key(LnChecker *c, const LnPathSegment *seg, uint32_t node,
				 const char *name, size_t len, LnRule invalid,
				 LnRule duplicate, const char *where,
				 const LnJsonNode **seen, int *n_seen)
{
	uint32_t	key = ln_check_get(c, seg, node, name, len, LN_JSON_STRING,
								   true);
	const LnJsonNode *k = &c->tree->nodes[key];
	LnPathSegment key_seg = {seg, name, len, 0};
	int			i;

	if (key == 0)
		return;
	if (!ln_check_is_key(k->str, k->len, LN_CHECK_MAX_KEY))
	{
		ln_check_report(c, &key_seg, invalid,
						"must be 1 to %d letters, digits and underscores",
						LN_CHECK_MAX_KEY);
		return;
	}
	for (i = 0; i < *n_seen; i++)
	{
		if (ln_check_string_is(seen[i], k->str, k->len))
		{
			ln_check_report(c, &key_seg, duplicate,
							"\"%.*s\" occurs twice%s", (int) k->len, k->str,
							where);
			break;
		}
	}
	if (*n_seen <= LN_CHECK_MAX_LOOKED_AT)
		seen[(*n_seen)++] = k;
}

/* One item; content is limited to max. */
static void
check_item(LnChecker *c, const LnPathSegment *seg, uint32_t node, size_t max,
		   const LnJsonNode **seen, int *n_seen)
{
	const LnJsonNode *nodes = c->tree->nodes;
	uint32_t	content;

	if (nodes[node].type != LN_JSON_OBJECT)
	{
		ln_check_report(c, seg, LN_RULE_PROPERTY_TYPE,
						"must be an object with itemKey and content");
		return;
	}

	check_member_key(c, seg, node, LIT("itemKey"), LN_RULE_ITEM_KEY_INVALID,
					 LN_RULE_ITEM_KEY_DUPLICATE,
					 " among emphasizedItem and items", seen, n_seen);
	content = ln_check_get_text(c, seg, node, LIT("content"), true);
	if (content != 0)
	{
		LnPathSegment content_seg = {seg, LIT("content"), 0};

		ln_check_text(c, &content_seg, content, max, TEXT_NO_BREAKS);
	}
	ln_check_names(c, seg, node, "itemKey content");
}

static void
check_button(LnChecker *c, const LnPathSegment *seg, uint32_t node,
			 const LnJsonNode **seen, int *n_seen)
{
	const LnJsonNode *nodes = c->tree->nodes;
	uint32_t	url;

	if (nodes[node].type != LN_JSON_OBJECT)
	{
		ln_check_report(c, seg, LN_RULE_PROPERTY_TYPE,
						"must be an object with buttonKey and url");
		return;
	}

	check_member_key(c, seg, node, LIT("buttonKey"),
					 LN_RULE_BUTTON_KEY_INVALID, LN_RULE_BUTTON_KEY_DUPLICATE,
					 "", seen, n_seen);
	url = ln_check_get_text(c, seg, node, LIT("url"), true);
	if (url != 0)
	{
		LnPathSegment url_seg = {seg, LIT("url"), 0};

		ln_check_url(c, &url_seg, url, MAX_URL, LN_URL_TEMPLATE_BUTTON);
	}
	ln_check_names(c, seg, node, "buttonKey url");
}

static void
check_template_body(LnChecker *c, const LnPathSegment *seg, uint32_t body)
{
	const LnJsonNode *nodes = c->tree->nodes;
	const LnJsonNode *seen[LN_CHECK_MAX_LOOKED_AT + 1];
	int			n_seen = 0;
	uint32_t	node;
	uint32_t	i;
	uint32_t	n;

	node = ln_check_get(c, seg, body, LIT("emphasizedItem"),
						LN_JSON_OBJECT, false);
	if (node != 0)
	{
		LnPathSegment item_seg = {seg, LIT("emphasizedItem"), 0};

		check_item(c, &item_seg, node, MAX_EMPHASIZED, seen, &n_seen);
	}

	node = ln_check_get(c, seg, body, LIT("items"), LN_JSON_ARRAY, false);
	if (node != 0)
	{
		LnPathSegment items_seg = {seg, LIT("items"), 0};
		LnPathSegment item_seg = {&items_seg, NULL, 0, 0};

		if (nodes[node].count > MAX_ITEMS)
			ln_check_report(c, &items_seg, LN_RULE_ITEMS_COUNT,
							"%u items, at most %d are allowed",
							(unsigned) nodes[node].count, MAX_ITEMS);
		for (i = node + 1, n = 0; i < nodes[node].end &&
			 n < LN_CHECK_MAX_LOOKED_AT;
			 i = nodes[i].end, n++)
		{
			item_seg.index = n;
			check_item(c, &item_seg, i, MAX_CONTENT, seen, &n_seen);
		}
	}

	n_seen = 0;
	node = ln_check_get(c, seg, body, LIT("buttons"), LN_JSON_ARRAY, false);
	if (node != 0)
	{
		LnPathSegment buttons_seg = {seg, LIT("buttons"), 0};
		LnPathSegment button_seg = {&buttons_seg, NULL, 0, 0};

		if (nodes[node].count > MAX_BUTTONS)
			ln_check_report(c, &buttons_seg, LN_RULE_BUTTONS_COUNT,
							"%u buttons, at most %d are allowed",
							(unsigned) nodes[node].count, MAX_BUTTONS);
		for (i = node + 1, n = 0; i < nodes[node].end &&
			 n < LN_CHECK_MAX_LOOKED_AT;
			 i = nodes[i].end, n++)
		{
			button_seg.index = n;
			check_button(c, &button_seg, i, seen, &n_seen);
		}
	}

	ln_check_names(c, seg, body, "emphasizedItem items buttons");
}

/*
 * Aggregation units
 */

static void
check_units(LnChecker *c, const LnPathSegment *seg, uint32_t units)
{
	const LnJsonNode *nodes = c->tree->nodes;
	LnPathSegment unit_seg = {seg, NULL, 0, 0};
	uint32_t	i;

	if (nodes[units].type == LN_JSON_NULL)
		return;
	if (nodes[units].type != LN_JSON_ARRAY)
	{
		ln_check_report(c, seg, LN_RULE_PROPERTY_TYPE, "must be an array");
		return;
	}
	if (nodes[units].count > 1)
		ln_check_report(c, seg, LN_RULE_AGGREGATION_UNITS_COUNT,
						"%u units, at most 1 is allowed",
						(unsigned) nodes[units].count);
	for (i = units + 1; i < nodes[units].end &&
		 unit_seg.index < LN_CHECK_MAX_LOOKED_AT;
		 i = nodes[i].end)
	{
		if (nodes[i].type != LN_JSON_STRING)
			ln_check_report(c, &unit_seg, LN_RULE_PROPERTY_TYPE,
							"must be a string");
		else
			check_unit_name(c, &unit_seg, nodes[i].str, nodes[i].len);
		unit_seg.index++;
	}
}

static void
check_unit_name(LnChecker *c, const LnPathSegment *seg,
				const char *unit, size_t len)
{
	if (!ln_check_is_key(unit, len, MAX_UNIT))
		ln_check_report(c, seg, LN_RULE_AGGREGATION_UNIT_INVALID,
						"must be 1 to %d letters, digits and"
						" underscores", MAX_UNIT);
}
