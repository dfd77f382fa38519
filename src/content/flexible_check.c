/*-------------------------------------------------------------------------
 *
 * flexible_check.c
 *		The content rules for the messages of a flexible message.
 *
 * line_schema.h is a table of what LINE takes, computed from LINE's OpenAPI
 * description and the limits of its reference page.  The walk follows it: an
 * object's members are matched with the properties of the table in one pass,
 * since jsonb and the table have the same order.  What no table can say (what
 * may stand where, what must agree with what) follows in a function for each
 * such object.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>

#include "content/check_common.h"

/* Limits of LINE's reference that concern more than one property. */
#define MAX_SUBSTITUTION_KEY	20
#define MAX_TEMPLATE_TEXT		60	/* with a title */
#define MAX_LABEL				20
#define MAX_FLEX_LABEL			40

/*
 * LINE says 30 KB and 50 KB and not whether K is 1000 or 1024, nor whether
 * blanks count.  We count without blanks; an error above the larger reading, a
 * warning above the smaller.
 */
#define MAX_BUBBLE_BYTES		(30 * 1024)
#define WARN_BUBBLE_BYTES		(30 * 1000)
#define MAX_CAROUSEL_BYTES		(50 * 1024)
#define WARN_CAROUSEL_BYTES		(50 * 1000)

/*
 * The table, in four shapes.
 */

typedef enum ObjectId
{
#define LN_OBJECT(object, first, count) OBJECT_##object,
#define LN_PROPERTY(object, at, name, kind, ref, required, format, least, \
					most, words, rule, source)
#define LN_UNION(name)
#define LN_MEMBER(name, type, object)
#include "content/line_schema.h"
	N_OBJECTS,
	OBJECT_None = N_OBJECTS
} ObjectId;

typedef enum UnionId
{
#define LN_OBJECT(object, first, count)
#define LN_PROPERTY(object, at, name, kind, ref, required, format, least, \
					most, words, rule, source)
#define LN_UNION(name) UNION_##name,
#define LN_MEMBER(name, type, object)
#include "content/line_schema.h"
	N_UNIONS
} UnionId;

/* where a property stands among those of its object, and its limit */
enum
{
#define LN_OBJECT(object, first, count)
#define LN_PROPERTY(object, at, name, kind, ref, required, format, least, \
					most, words, rule, source) \
	AT_##object##_##name = at, MOST_##object##_##name = most,
#define LN_UNION(name)
#define LN_MEMBER(name, type, object)
#include "content/line_schema.h"
	AT_NOTHING
};

/* what a property refers to */
enum
{
	REF_None,
#define LN_OBJECT(object, first, count) REF_##object = OBJECT_##object,
#define LN_PROPERTY(object, at, name, kind, ref, required, format, least, \
					most, words, rule, source)
#define LN_UNION(name) REF_##name = UNION_##name,
#define LN_MEMBER(name, type, object)
#include "content/line_schema.h"
	REF_NOTHING
};

typedef enum PropertyKind
{
	KIND_STRING,
	KIND_INTEGER,
	KIND_NUMBER,
	KIND_BOOLEAN,
	KIND_OBJECT,
	KIND_UNION,					/* an object of one of several types */
	KIND_OBJECTS,				/* arrays of these */
	KIND_UNIONS,
	KIND_MAP					/* an object of any names with a union each */
} PropertyKind;

/* what a string must look like */
typedef enum StringFormat
{
	FORMAT_ANY,
	FORMAT_WORD,				/* one of the words */
	FORMAT_NAME,				/* not empty */
	FORMAT_TEXT,				/* for people: something to see */
	FORMAT_LINE_OF_TEXT,
	FORMAT_TEMPLATE_TEXT,		/* counted in grapheme clusters */
	FORMAT_FLEX_TEXT,
	FORMAT_SPAN_TEXT,			/* may be blank */
	FORMAT_DATA,				/* may be blank or empty */
	FORMAT_FULL_DATA,			/* may be blank */
	FORMAT_ACTION_URL,
	FORMAT_DESKTOP_URL,
	FORMAT_IMAGE_URL,
	FORMAT_COLOR,				/* #RRGGBB or #RRGGBBAA */
	FORMAT_LENGTH,				/* a word or pixels */
	FORMAT_SHARE,				/* or per cent */
	FORMAT_OFFSET,				/* and of either sign */
	FORMAT_PIXELS,
	FORMAT_PERCENT,				/* 0% to 100% */
	FORMAT_ANGLE,				/* 0deg to below 360deg */
	FORMAT_RATIO				/* width:height */
} StringFormat;

typedef struct Property
{
	const char *name;
	uint8_t		len;			/* of name */
	uint8_t		kind;
	uint8_t		ref;			/* ObjectId or UnionId */
	bool		required;
	uint8_t		format;
	int32_t		least;
	int32_t		most;			/* 0: no limit */
	const char *words;			/* separated by blanks, or NULL */
	LnRule		rule;			/* of the value or the number of elements */
} Property;

typedef struct ObjectInfo
{
	uint16_t	first;			/* of its properties */
	uint16_t	count;
} ObjectInfo;

typedef struct Member
{
	UnionId		in;
	const char *type;
	size_t		len;
	ObjectId	object;
} Member;

static const Property properties[] =
{
#define LN_OBJECT(object, first, count)
#define LN_PROPERTY(object, at, name, kind, ref, required, format, least, \
					most, words, rule, source) \
	{#name, sizeof(#name) - 1, KIND_##kind, REF_##ref, required, \
	 FORMAT_##format, least, most, words, LN_RULE_##rule},
#define LN_UNION(name)
#define LN_MEMBER(name, type, object)
#include "content/line_schema.h"
};

static const ObjectInfo objects[] =
{
#define LN_OBJECT(object, first, count) {first, count},
#define LN_PROPERTY(object, at, name, kind, ref, required, format, least, \
					most, words, rule, source)
#define LN_UNION(name)
#define LN_MEMBER(name, type, object)
#include "content/line_schema.h"
};

static const Member members[] =
{
#define LN_OBJECT(object, first, count)
#define LN_PROPERTY(object, at, name, kind, ref, required, format, least, \
					most, words, rule, source)
#define LN_UNION(name)
#define LN_MEMBER(name, type, object) \
	{UNION_##name, LIT(type), OBJECT_##object},
#include "content/line_schema.h"
};

/* where an object stands, when that matters */
typedef enum Place
{
	PLACE_ANY,
	PLACE_BLOCK,				/* header, hero, body, footer of a bubble */
	PLACE_BOX,					/* horizontal or vertical */
	PLACE_BASELINE,				/* box */
	PLACE_TEXT,
	PLACE_CAROUSEL,
	PLACE_FLEX,					/* an action of what has its own looks */
	PLACE_BUTTON,				/* actions of buttons, in Flex */
	PLACE_TEMPLATE,				/* in templates */
	PLACE_TEMPLATE_WHOLE,		/* the default action of a template */
	PLACE_QUICK_REPLY
} Place;

/* an object, matched with the table */
typedef struct Found
{
	uint32_t	node;
	uint32_t	present;		/* bit for each property, not for null */
	uint32_t	at[LN_SCHEMA_WIDEST];	/* nodes of the right type, or 0 */
} Found;

#if LN_SCHEMA_WIDEST > 32
#error "an object of line_schema.h has more properties than Found has bits"
#endif

static void check_union(LnChecker *c, const LnPathSegment *seg, uint32_t node,
						UnionId which, Place place);
static void check_object(LnChecker *c, const LnPathSegment *seg,
						 uint32_t node, ObjectId object, Place place);
static void check_value(LnChecker *c, const LnPathSegment *seg, uint32_t node,
						const Property *p, Place place);
static void check_string(LnChecker *c, const LnPathSegment *seg,
						 uint32_t node, const Property *p, Place place);
static Place check_together(LnChecker *c, const LnPathSegment *seg,
							ObjectId object, const Found *found, Place place);
static void check_children(LnChecker *c, const LnPathSegment *seg,
						   const Property *p, uint32_t node, Place place);
static void report_unknown(LnChecker *c, const LnPathSegment *seg,
						   const LnJsonNode *member, ObjectId object);
static void find_media(LnChecker *c, const LnPathSegment *seg, uint32_t node);

void
ln_flexible_check(LnChecker *c, const LnPathSegment *seg, uint32_t list)
{
	const LnJsonNode *nodes = c->tree->nodes;
	LnPathSegment message_seg = {seg, NULL, 0, 0};
	uint32_t	i;

	if (nodes[list].count < LN_SCHEMA_LEAST_MESSAGES ||
		nodes[list].count > LN_SCHEMA_MOST_MESSAGES)
		ln_check_report(c, seg, LN_RULE_MESSAGES_COUNT,
						"%u messages, %d to %d are allowed",
						(unsigned) nodes[list].count,
						LN_SCHEMA_LEAST_MESSAGES, LN_SCHEMA_MOST_MESSAGES);
	for (i = list + 1;
		 i < nodes[list].end && message_seg.index < LN_CHECK_MAX_LOOKED_AT;
		 i = nodes[i].end, message_seg.index++)
	{
		uint32_t	reply = ln_json_find(c->tree, i, LIT("quickReply"));

		check_union(c, &message_seg, i, UNION_Message, PLACE_ANY);
		if (reply != 0 && nodes[reply].type != LN_JSON_NULL &&
			nodes[i].end < nodes[list].end)
		{
			LnPathSegment reply_seg = {&message_seg, LIT("quickReply"), 0};

			ln_check_report(c, &reply_seg, LN_RULE_PROPERTY_IGNORED,
							"LINE shows those of the last message only");
		}
	}
}

/*
 * Objects
 */

static const char *
union_word(UnionId which)
{
	switch (which)
	{
		case UNION_Action:
			return "an action object";
		case UNION_FlexComponent:
			return "a Flex component";
		case UNION_FlexContainer:
			return "a Flex container";
		case UNION_Message:
			return "a message object";
		default:
			return "an object";
	}
}

/* Is it forbidden in notification messages?  Reports that. */
static bool
is_forbidden(LnChecker *c, const LnPathSegment *seg,
			 const LnPathSegment *type_seg, const LnJsonNode *type,
			 UnionId which)
{
	switch (which)
	{
		case UNION_Message:
			if (ln_check_string_is(type, LIT("imagemap")))
				ln_check_report(c, type_seg, LN_RULE_MESSAGE_IMAGEMAP,
								"imagemaps are forbidden in notification"
								" messages");
			else if (ln_check_string_is(type, LIT("coupon")))
				ln_check_report(c, type_seg, LN_RULE_MESSAGE_COUPON,
								"coupons are advertising, which is forbidden"
								" in notification messages");
			else if (ln_check_in_list(type->str, type->len,
									  "image video audio"))
				ln_check_report(c, type_seg, LN_RULE_MESSAGE_MEDIA,
								"images, videos and audio are forbidden in"
								" notification messages");
			else
				return false;
			return true;
		case UNION_FlexComponent:
		case UNION_FlexBoxBackground:
			if (!ln_check_in_list(type->str, type->len,
								  "image video audio imagemap"))
				return false;
			ln_check_report(c, seg, LN_RULE_FLEX_MEDIA,
							"images and videos are forbidden in notification"
							" messages");
			return true;
		case UNION_Template:
			if (!ln_check_string_is(type, LIT("image_carousel")))
				return false;
			ln_check_report(c, type_seg, LN_RULE_TEMPLATE_IMAGE,
							"image carousels are forbidden in notification"
							" messages");
			return true;
		default:
			return false;
	}
}

static void
report_type(LnChecker *c, const LnPathSegment *type_seg, UnionId which)
{
	LnRule		rule = LN_RULE_PROPERTY_VALUE;
	char		words[160];
	size_t		used = 0;
	size_t		i;

	if (which == UNION_Message)
		rule = LN_RULE_MESSAGE_TYPE_UNKNOWN;
	else if (which == UNION_Action)
		rule = LN_RULE_ACTION_TYPE_UNKNOWN;
	else if (which == UNION_FlexComponent)
		rule = LN_RULE_FLEX_COMPONENT_UNKNOWN;
	else if (which == UNION_FlexContainer)
		rule = LN_RULE_FLEX_CONTAINER_UNKNOWN;
	else if (which == UNION_SubstitutionObject)
		rule = LN_RULE_SUBSTITUTION_TYPE_UNKNOWN;
	else if (which == UNION_Template)
		rule = LN_RULE_TEMPLATE_TYPE_UNKNOWN;

	words[0] = '\0';
	for (i = 0; i < sizeof(members) / sizeof(members[0]) &&
		 used < sizeof(words); i++)
	{
		if (members[i].in == which && members[i].object != OBJECT_None)
			used += (size_t) snprintf(words + used, sizeof(words) - used,
									  " %s", members[i].type);
	}
	ln_check_report(c, type_seg, rule, "LINE documents:%s", words);
}

/* Does a component or container of the type belong there?  Reports. */
static void
check_place(LnChecker *c, const LnPathSegment *seg,
			const LnPathSegment *type_seg, ObjectId object, Place place)
{
	switch (place)
	{
		case PLACE_BLOCK:
			if (object != OBJECT_FlexBox)
				ln_check_report(c, seg, LN_RULE_FLEX_BLOCK, "must be a box");
			break;
		case PLACE_BASELINE:
			if (object != OBJECT_FlexIcon && object != OBJECT_FlexText &&
				object != OBJECT_FlexFiller)
				ln_check_report(c, seg, LN_RULE_FLEX_CHILD,
								"only icon, text and filler may stand in a"
								" baseline box");
			break;
		case PLACE_BOX:
			if (object == OBJECT_FlexIcon)
				ln_check_report(c, seg, LN_RULE_FLEX_CHILD,
								"an icon may stand in a baseline box only");
			else if (object == OBJECT_FlexSpan)
				ln_check_report(c, seg, LN_RULE_FLEX_CHILD,
								"a span may stand in a text only");
			break;
		case PLACE_TEXT:
			if (object != OBJECT_FlexSpan)
				ln_check_report(c, seg, LN_RULE_FLEX_CHILD,
								"only spans may stand in a text");
			break;
		case PLACE_CAROUSEL:
			if (object != OBJECT_FlexBubble)
				ln_check_report(c, type_seg, LN_RULE_FLEX_CONTAINER_UNKNOWN,
								"a carousel consists of bubbles");
			break;
		case PLACE_QUICK_REPLY:
			if (object == OBJECT_RichMenuSwitchAction)
				ln_check_report(c, type_seg, LN_RULE_ACTION_PLACE,
								"this action belongs to rich menus");
			break;
		case PLACE_FLEX:
		case PLACE_BUTTON:
		case PLACE_TEMPLATE:
		case PLACE_TEMPLATE_WHOLE:
			if (object == OBJECT_RichMenuSwitchAction)
				ln_check_report(c, type_seg, LN_RULE_ACTION_PLACE,
								"this action belongs to rich menus");
			else if (object == OBJECT_CameraAction ||
					 object == OBJECT_CameraRollAction ||
					 object == OBJECT_LocationAction)
				ln_check_report(c, type_seg, LN_RULE_ACTION_PLACE,
								"this action belongs to quick replies");
			break;
		case PLACE_ANY:
			break;
	}
}

static void
check_flex_size(LnChecker *c, const LnPathSegment *seg, uint32_t node,
				ObjectId object)
{
	bool		bubble = object == OBJECT_FlexBubble;
	size_t		max = bubble ? MAX_BUBBLE_BYTES : MAX_CAROUSEL_BYTES;
	size_t		warn = bubble ? WARN_BUBBLE_BYTES : WARN_CAROUSEL_BYTES;
	size_t		size;

	if (!ln_check_may_exceed(c->tree, warn))
		return;
	size = ln_check_json_size(c->tree, node);
	if (size > max)
		ln_check_report(c, seg,
						bubble ? LN_RULE_BUBBLE_TOO_LARGE
						: LN_RULE_CAROUSEL_TOO_LARGE,
						"the %s has %zu bytes, at most %zu are allowed",
						bubble ? "bubble" : "carousel", size, max);
	else if (size > warn)
		ln_check_report(c, seg, LN_RULE_SIZE_NEAR_LIMIT,
						"the %s has %zu bytes of at most %zu",
						bubble ? "bubble" : "carousel", size, max);
}

/*
 * An object that says by "type" which one of several it is.  Recursive; the
 * depth of the tree is bounded.
 */
static void
check_union(LnChecker *c, const LnPathSegment *seg, uint32_t node,
			UnionId which, Place place)
{
	const LnJsonNode *nodes = c->tree->nodes;
	LnPathSegment type_seg = {seg, LIT("type"), 0};
	uint32_t	t;
	size_t		i;

	if (nodes[node].type != LN_JSON_OBJECT)
	{
		ln_check_report(c, seg, LN_RULE_PROPERTY_TYPE, "must be %s",
						union_word(which));
		return;
	}
	t = ln_check_get(c, seg, node, LIT("type"), LN_JSON_STRING, true);
	if (t == 0)
	{
		find_media(c, seg, node);
		return;
	}
	if (is_forbidden(c, seg, &type_seg, &nodes[t], which))
		return;
	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++)
	{
		if (members[i].in == which &&
			ln_check_string_is(&nodes[t], members[i].type, members[i].len))
			break;
	}
	if (i == sizeof(members) / sizeof(members[0]) ||
		members[i].object == OBJECT_None)
	{
		report_type(c, &type_seg, which);
		find_media(c, seg, node);
		return;
	}

	check_place(c, seg, &type_seg, members[i].object, place);
	if (place == PLACE_CAROUSEL && members[i].object != OBJECT_FlexBubble)
	{
		find_media(c, seg, node);
		return;
	}
	check_object(c, seg, node, members[i].object, place);
	if (which == UNION_FlexContainer)
		check_flex_size(c, seg, node, members[i].object);
	else if (members[i].object == OBJECT_StickerMessage)
		ln_check_report(c, &type_seg, LN_RULE_MESSAGE_STICKER,
						"a sticker is likely to be refused in the review");
	else if (members[i].object == OBJECT_FlexIcon)
		ln_check_report(c, seg, LN_RULE_FLEX_ICON,
						"an icon is likely to be refused in the review unless"
						" it is one of LINE's own");
	else if (members[i].object == OBJECT_MentionSubstitutionObject)
		ln_check_report(c, &type_seg, LN_RULE_SUBSTITUTION_MENTION,
						"mentions belong to groups");
}

/* as jsonb sorts names: shorter ones first */
static int
compare_names(const char *a, size_t alen, const char *b, size_t blen)
{
	if (alen != blen)
		return alen < blen ? -1 : 1;
	return alen == 0 ? 0 : memcmp(a, b, alen);
}

static void
check_object(LnChecker *c, const LnPathSegment *seg, uint32_t node,
			 ObjectId object, Place place)
{
	const LnJsonNode *nodes = c->tree->nodes;
	const Property *first = &properties[objects[object].first];
	const Property *end = first + objects[object].count;
	const Property *p = first;
	const LnJsonNode *before = NULL;
	uint32_t	nulls = 0;
	Found		found;
	uint32_t	i;

	if (nodes[node].type != LN_JSON_OBJECT)
	{
		ln_check_report(c, seg, LN_RULE_PROPERTY_TYPE, "must be an object");
		return;
	}
	found.node = node;
	found.present = 0;
	memset(found.at, 0, sizeof(uint32_t) * objects[object].count);

	for (i = node + 1; i < nodes[node].end; i = nodes[i].end)
	{
		const LnJsonNode *member = &nodes[i];
		LnPathSegment member_seg = {seg, member->key, member->key_len, 0};
		int			order = -1;

		/* in order when it comes from jsonb, else begin again */
		if (before != NULL &&
			compare_names(member->key, member->key_len,
						  before->key, before->key_len) <= 0)
			p = first;
		before = member;
		while (p < end &&
			   (order = compare_names(p->name, p->len,
									  member->key, member->key_len)) < 0)
			p++;
		if (p == end || order != 0)
		{
			report_unknown(c, &member_seg, member, object);
			if (member->type == LN_JSON_OBJECT ||
				member->type == LN_JSON_ARRAY)
				find_media(c, &member_seg, i);
			continue;
		}

		/* of a key that stands twice, as jsonb cannot, the first counts */
		if ((found.present & UINT32_C(1) << (p - first)) != 0)
			continue;
		if (member->type == LN_JSON_NULL)
		{
			nulls |= UINT32_C(1) << (p - first);
			continue;
		}
		found.present |= UINT32_C(1) << (p - first);
		check_value(c, &member_seg, i, p, place);
		if (p->kind == KIND_STRING ? member->type == LN_JSON_STRING :
			p->kind == KIND_INTEGER || p->kind == KIND_NUMBER ?
			member->type == LN_JSON_NUMBER :
			p->kind == KIND_OBJECTS || p->kind == KIND_UNIONS ?
			member->type == LN_JSON_ARRAY :
			member->type == LN_JSON_OBJECT)
			found.at[p - first] = i;
	}

	for (p = first; p < end; p++)
	{
		LnPathSegment member_seg = {seg, p->name, p->len, 0};
		uint32_t	bit = UINT32_C(1) << (p - first);

		if (!p->required || (found.present & bit) != 0)
			continue;

		/* null in place of a text is a value that was NULL */
		if ((nulls & bit) != 0 && p->kind == KIND_STRING &&
			p->format >= FORMAT_TEXT)
			ln_check_report(c, &member_seg, LN_RULE_VALUE_NULL, "is null");
		else
			ln_check_report(c, &member_seg, LN_RULE_PROPERTY_MISSING,
							"is required");
	}

	place = check_together(c, seg, object, &found, place);
	for (p = first; p < end; p++)
	{
		if (p->kind >= KIND_OBJECT && found.at[p - first] != 0)
		{
			LnPathSegment member_seg = {seg, p->name, p->len, 0};

			check_children(c, &member_seg, p, found.at[p - first], place);
		}
	}
}

/* the objects inside one property */
static void
check_children(LnChecker *c, const LnPathSegment *seg, const Property *p,
			   uint32_t node, Place place)
{
	const LnJsonNode *nodes = c->tree->nodes;
	LnPathSegment element_seg = {seg, NULL, 0, 0};
	uint32_t	i;

	if (p->kind == KIND_OBJECT || p->kind == KIND_OBJECTS)
		place = p->ref == OBJECT_AltUri ? place : PLACE_ANY;
	else if (p->ref == UNION_Action)
	{
		if (place == PLACE_TEMPLATE && p->kind == KIND_UNION)
			place = PLACE_TEMPLATE_WHOLE;
		else if (place == PLACE_BLOCK || place == PLACE_BOX ||
				 place == PLACE_BASELINE || place == PLACE_TEXT)
			place = PLACE_FLEX;
	}
	else if (p->ref != UNION_FlexComponent && p->ref != UNION_FlexContainer)
		place = PLACE_ANY;

	if (p->kind == KIND_OBJECT)
	{
		check_object(c, seg, node, (ObjectId) p->ref, place);
		return;
	}
	if (p->kind == KIND_UNION)
	{
		check_union(c, seg, node, (UnionId) p->ref, place);
		return;
	}
	for (i = node + 1; i < nodes[node].end; i = nodes[i].end)
	{
		/* a hostile list of many elements stays cheap */
		if (p->most > 0 && element_seg.index >= LN_CHECK_MAX_LOOKED_AT &&
			element_seg.index >= (uint32_t) p->most)
			break;
		if (p->kind == KIND_MAP)
		{
			LnPathSegment entry_seg = {seg, nodes[i].key, nodes[i].key_len, 0};

			check_union(c, &entry_seg, i, (UnionId) p->ref, place);
		}
		else if (p->kind == KIND_UNIONS)
			check_union(c, &element_seg, i, (UnionId) p->ref, place);
		else
			check_object(c, &element_seg, i, (ObjectId) p->ref, place);
		element_seg.index++;
	}
}

static void
report_unknown(LnChecker *c, const LnPathSegment *seg,
			   const LnJsonNode *member, ObjectId object)
{
	const Property *p = &properties[objects[object].first];
	const Property *end = p + objects[object].count;

	if (!ln_check_looks_for_unknown(c))
		return;
	for (; p < end; p++)
	{
		if (ln_check_same_name(p->name, p->len, member->key, member->key_len))
		{
			ln_check_report(c, seg, LN_RULE_PROPERTY_MISSPELT,
							"LINE's name is \"%s\"", p->name);
			return;
		}
	}
	ln_check_report(c, seg, LN_RULE_PROPERTY_UNKNOWN,
					"LINE documents no such property here");
}

/*
 * Values
 */

/*
 * Reads a whole number; false when it is none.  "1.0" is one; what is beyond
 * 32 bits is not.
 */
static bool
whole_number(const LnJsonNode *node, int64_t *value)
{
	uint32_t	i = 0;
	bool		minus = node->len > 0 && node->str[0] == '-';

	*value = 0;
	if (minus)
		i++;
	if (i == node->len)
		return false;
	for (; i < node->len && node->str[i] != '.'; i++)
	{
		if (node->str[i] < '0' || node->str[i] > '9' ||
			*value > INT32_MAX / 10)
			return false;
		*value = *value * 10 + (node->str[i] - '0');
	}
	for (i++; i < node->len; i++)
	{
		if (node->str[i] != '0')
			return false;
	}
	if (minus)
		*value = -*value;
	return *value >= INT32_MIN && *value <= INT32_MAX;
}

static void
check_value(LnChecker *c, const LnPathSegment *seg, uint32_t node,
			const Property *p, Place place)
{
	const LnJsonNode *n = &c->tree->nodes[node];
	const char *type = NULL;
	int64_t		value;

	switch ((PropertyKind) p->kind)
	{
		case KIND_STRING:
			if (n->type == LN_JSON_STRING)
				check_string(c, seg, node, p, place);
			else
				type = "a string";
			break;
		case KIND_INTEGER:
			if (n->type != LN_JSON_NUMBER)
				type = "a number";
			else if (n->str != NULL &&
					 (!whole_number(n, &value) || value < p->least))
				ln_check_report(c, seg, p->rule, p->least == 0 ?
								"must be a whole number from 0" :
								"must be a whole number");
			break;
		case KIND_NUMBER:
			if (n->type != LN_JSON_NUMBER)
				type = "a number";
			break;
		case KIND_BOOLEAN:
			if (n->type != LN_JSON_TRUE && n->type != LN_JSON_FALSE)
				type = "true or false";
			break;
		case KIND_OBJECT:
		case KIND_UNION:
		case KIND_MAP:
			if (n->type != LN_JSON_OBJECT)
				type = "an object";
			break;
		case KIND_OBJECTS:
		case KIND_UNIONS:
			if (n->type != LN_JSON_ARRAY)
				type = "an array";
			break;
	}
	if (type != NULL)
		ln_check_report(c, seg, LN_RULE_PROPERTY_TYPE, "must be %s", type);
	else if (p->kind >= KIND_OBJECTS &&
			 (n->count < (uint32_t) p->least ||
			  (p->most > 0 && n->count > (uint32_t) p->most)))
	{
		if (p->least == p->most)
			ln_check_report(c, seg, p->rule, "%u elements, LINE takes %d",
							(unsigned) n->count, (int) p->most);
		else
			ln_check_report(c, seg, p->rule,
							"%u elements, LINE takes %d to %d",
							(unsigned) n->count, (int) p->least,
							(int) p->most);
	}
}

/*
 * Reads a decimal number without sign, of at most six digits before the
 * point.  Returns its length, 0 when there is none.
 */
static uint32_t
decimal(const char *str, uint32_t len, double *value)
{
	uint32_t	i = 0;
	double		place = 1;

	*value = 0;
	for (; i < len && str[i] >= '0' && str[i] <= '9'; i++)
		*value = *value * 10 + (str[i] - '0');
	if (i == 0 || i > 6)
		return 0;
	if (i + 1 < len && str[i] == '.' && str[i + 1] >= '0' && str[i + 1] <= '9')
	{
		for (i++; i < len && str[i] >= '0' && str[i] <= '9'; i++)
			*value += (str[i] - '0') * (place /= 10);
	}
	return i;
}

/* Is it a number and the unit? */
static bool
measure(const char *str, uint32_t len, const char *unit, double *value)
{
	uint32_t	digits = decimal(str, len, value);

	return digits > 0 && len - digits == strlen(unit) &&
		memcmp(str + digits, unit, len - digits) == 0;
}

static bool
is_color(const char *str, uint32_t len)
{
	uint32_t	i;

	if ((len != 7 && len != 9) || str[0] != '#')
		return false;
	for (i = 1; i < len; i++)
	{
		if (!ln_check_is_hex(str[i]))
			return false;
	}
	return true;
}

/* 20:13 or 1.91:1; the height is at most three times the width */
static bool
is_ratio(const char *str, uint32_t len)
{
	double		width;
	double		height;
	uint32_t	n = decimal(str, len, &width);

	return n > 0 && n < len && str[n] == ':' &&
		decimal(str + n + 1, len - n - 1, &height) == len - n - 1 &&
		n + 1 < len && width >= 1 && height >= 1 && width <= 100000 &&
		height <= 100000 && height <= 3 * width;
}

static void
check_string(LnChecker *c, const LnPathSegment *seg, uint32_t node,
			 const Property *p, Place place)
{
	const LnJsonNode *n = &c->tree->nodes[node];
	const char *wanted = NULL;
	bool		in_flex = place == PLACE_FLEX || place == PLACE_BUTTON;
	bool		sign;
	double		value;

	switch ((StringFormat) p->format)
	{
		case FORMAT_ANY:
		case FORMAT_FLEX_TEXT:	/* see check_text_component() */
			break;
		case FORMAT_WORD:
			if (!ln_check_in_list(n->str, n->len, p->words))
				ln_check_report(c, seg, p->rule, "must be one of: %s",
								p->words);
			break;
		case FORMAT_NAME:
			if (n->len == 0)
				ln_check_report(c, seg, LN_RULE_VALUE_EMPTY, "is empty");
			break;
		case FORMAT_TEXT:
			ln_check_text(c, seg, node, (size_t) p->most, 0);
			break;
		case FORMAT_LINE_OF_TEXT:
			ln_check_text(c, seg, node, (size_t) p->most, TEXT_NO_BREAKS |
						  TEXT_EMPTY_OK | TEXT_BLANK_OK);
			break;
		case FORMAT_TEMPLATE_TEXT:
			ln_check_text(c, seg, node, (size_t) p->most, TEXT_CLUSTERS);
			break;
		case FORMAT_SPAN_TEXT:
		case FORMAT_FULL_DATA:
			ln_check_text(c, seg, node, (size_t) p->most, TEXT_BLANK_OK);
			break;
		case FORMAT_DATA:
			ln_check_text(c, seg, node, (size_t) p->most,
						  TEXT_EMPTY_OK | TEXT_BLANK_OK);
			break;
		case FORMAT_DESKTOP_URL:
			if (n->len == 0)
				break;			/* LINE's description has least length 0 */
			/* FALLTHROUGH */
		case FORMAT_ACTION_URL:
			ln_check_url(c, seg, node, (size_t) p->most,
						 in_flex ? LN_URL_FLEX_ACTION : LN_URL_ACTION);
			break;
		case FORMAT_IMAGE_URL:
			ln_check_url(c, seg, node, (size_t) p->most, LN_URL_IMAGE);
			break;
		case FORMAT_COLOR:
			if (!is_color(n->str, n->len))
				wanted = "#RRGGBB or #RRGGBBAA";
			break;
		case FORMAT_LENGTH:
		case FORMAT_SHARE:
		case FORMAT_OFFSET:
			if (p->words != NULL &&
				ln_check_in_list(n->str, n->len, p->words))
				break;
			sign = p->format == FORMAT_OFFSET && n->len > 0 &&
				(n->str[0] == '-' || n->str[0] == '+');
			if (measure(n->str + sign, n->len - sign, "px", &value) ||
				(p->format != FORMAT_LENGTH &&
				 measure(n->str + sign, n->len - sign, "%", &value)))
				break;
			ln_check_report(c, seg, p->rule,
							"must be %spixels (\"16px\")%s",
							p->words != NULL ? "one of LINE's words or "
							: "", p->format != FORMAT_LENGTH
							? " or per cent (\"50%\")" : "");
			break;
		case FORMAT_PIXELS:
			if (!measure(n->str, n->len, "px", &value))
				wanted = "pixels (\"16px\")";
			break;
		case FORMAT_PERCENT:
			if (!measure(n->str, n->len, "%", &value) || value > 100)
				wanted = "from 0% to 100%";
			break;
		case FORMAT_ANGLE:
			if (!measure(n->str, n->len, "deg", &value) || value >= 360)
				wanted = "from 0deg to below 360deg";
			break;
		case FORMAT_RATIO:
			if (!is_ratio(n->str, n->len))
				wanted = "width:height (\"20:13\")";
			break;
	}
	if (wanted != NULL)
		ln_check_report(c, seg, p->rule, "must be %s", wanted);
}

/*
 * What the properties of one object have to do with each other
 */

#define AT(object, name)	(found->at[AT_##object##_##name])
#define HAS(object, name)	\
	((found->present & UINT32_C(1) << AT_##object##_##name) != 0)

/* does the UTF-16 unit at index of a valid text begin a $? */
static bool
is_dollar_at(const char *str, size_t len, int64_t index)
{
	size_t		i;
	int64_t		unit = 0;

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

/* Each emoji of a text message replaces a $ of its own. */
static void
check_emojis(LnChecker *c, const LnPathSegment *seg, uint32_t text,
			 uint32_t emojis)
{
	const LnJsonNode *nodes = c->tree->nodes;
	LnPathSegment emojis_seg = {seg, LIT("emojis"), 0};
	LnPathSegment emoji_seg = {&emojis_seg, NULL, 0, 0};
	LnPathSegment index_seg = {&emoji_seg, LIT("index"), 0};
	int64_t		seen[MOST_TextMessage_emojis];
	uint32_t	i;
	uint32_t	n;

	if (emojis == 0)
		return;
	for (i = emojis + 1, n = 0;
		 i < nodes[emojis].end && n < MOST_TextMessage_emojis;
		 i = nodes[i].end, n++)
	{
		uint32_t	index = ln_json_find(c->tree, i, LIT("index"));
		uint32_t	k;

		seen[n] = -1;
		emoji_seg.index = n;
		if (index == 0 || nodes[index].type != LN_JSON_NUMBER ||
			nodes[index].str == NULL ||
			!whole_number(&nodes[index], &seen[n]) || seen[n] < 0)
		{
			seen[n] = -1;
			continue;
		}
		if (text != 0 &&
			!is_dollar_at(nodes[text].str, nodes[text].len, seen[n]))
			ln_check_report(c, &index_seg, LN_RULE_EMOJI_INDEX,
							"there is no $ at unit %ld of the text (UTF-16,"
							" from 0)", (long) seen[n]);
		for (k = 0; k < n; k++)
		{
			if (seen[k] == seen[n])
			{
				ln_check_report(c, &index_seg, LN_RULE_EMOJI_INDEX,
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
check_substitution(LnChecker *c, const LnPathSegment *seg, uint32_t text,
				   uint32_t subst)
{
	const LnJsonNode *nodes = c->tree->nodes;
	LnPathSegment text_seg = {seg, LIT("text"), 0};
	LnPathSegment subst_seg = {seg, LIT("substitution"), 0};
	bool		used[MOST_TextMessageV2_substitution] = {false};
	bool		text_ok = text != 0;
	uint32_t	i;
	uint32_t	n;

	if (text != 0)
	{
		const char *s = nodes[text].str;
		size_t		len = nodes[text].len;
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
				ln_check_report(c, &text_seg, LN_RULE_BRACE_UNBALANCED,
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
						if (n < MOST_TextMessageV2_substitution)
							used[n] = true;
						break;
					}

					/* keeps a hostile text times a hostile object cheap */
					if (n > MOST_TextMessageV2_substitution)
						break;
				}
			}
			if (!found && unknown++ == 0)
				ln_check_report(c, &text_seg, LN_RULE_PLACEHOLDER_UNKNOWN,
								"a placeholder has no entry in substitution");
			p++;
		}
	}

	if (subst == 0)
		return;
	for (i = subst + 1, n = 0;
		 i < nodes[subst].end && n < MOST_TextMessageV2_substitution;
		 i = nodes[i].end, n++)
	{
		const LnJsonNode *node = &nodes[i];
		LnPathSegment entry_seg = {&subst_seg, node->key, node->key_len, 0};

		if (!ln_check_is_key(node->key, node->key_len, MAX_SUBSTITUTION_KEY))
			ln_check_report(c, &entry_seg, LN_RULE_SUBSTITUTION_KEY_INVALID,
							"the key must be 1 to %d letters, digits and"
							" underscores", MAX_SUBSTITUTION_KEY);
		else if (text_ok && !used[n])
			ln_check_report(c, &entry_seg, LN_RULE_SUBSTITUTION_UNUSED,
							"the text does not use it");
	}
}

static void
check_location(LnChecker *c, const LnPathSegment *seg, const char *key,
			   uint32_t node, int limit)
{
	const LnJsonNode *n = &c->tree->nodes[node];
	LnPathSegment axis_seg = {seg, key, strlen(key), 0};
	char		buf[64];
	double		d;

	if (node == 0 || n->str == NULL)
		return;
	snprintf(buf, sizeof(buf), "%.*s", (int) n->len, n->str);
	d = strtod(buf, NULL);
	if (!(d >= -limit && d <= limit))
		ln_check_report(c, &axis_seg, LN_RULE_LOCATION_OUT_OF_RANGE,
						"must be between -%d and %d", limit, limit);
}

/*
 * LINE refuses "certain words such as LINE".  As a word of its own it is
 * certain; in "ONLINE SHOP" nobody knows.
 */
static void
check_sender(LnChecker *c, const LnPathSegment *seg, const Found *found)
{
	const LnJsonNode *n = &c->tree->nodes[AT(Sender, name)];
	LnPathSegment name_seg = {seg, LIT("name"), 0};
	LnPathSegment icon_seg = {seg, LIT("iconUrl"), 0};
	bool		somewhere = false;
	uint32_t	i;

	if (AT(Sender, iconUrl) != 0)
		ln_check_report(c, &icon_seg, LN_RULE_SENDER_ICON,
						"another icon is likely to be refused in the review");
	if (AT(Sender, name) == 0)
		return;
	for (i = 0; i + 4 <= n->len; i++)
	{
		const char *s = n->str + i;
#define IS_LETTER(ch) (((ch) | 0x20) >= 'a' && ((ch) | 0x20) <= 'z')
		if ((s[0] | 0x20) != 'l' || (s[1] | 0x20) != 'i' ||
			(s[2] | 0x20) != 'n' || (s[3] | 0x20) != 'e')
			continue;
		if (memcmp(s, "LINE", 4) == 0 && (i == 0 || !IS_LETTER(s[-1])) &&
			(i + 4 == n->len || !IS_LETTER(s[4])))
		{
			ln_check_report(c, &name_seg, LN_RULE_SENDER_NAME_LINE,
							"LINE refuses names with the word LINE");
			return;
		}
		somewhere = true;
#undef IS_LETTER
	}
	if (somewhere)
		ln_check_report(c, &name_seg, LN_RULE_SENDER_NAME,
						"LINE refuses names that contain certain words such as"
						" LINE");
}

/* The texts of a template share its height with the title. */
static void
check_beside_title(LnChecker *c, const LnPathSegment *seg, uint32_t title,
				   uint32_t text, int32_t most)
{
	LnPathSegment text_seg = {seg, LIT("text"), 0};
	LnTextFacts facts;

	if (title == 0 || text == 0)
		return;
	ln_check_scan(c->tree->nodes[text].str, c->tree->nodes[text].len, &facts);
	if (facts.utf16 <= MAX_TEMPLATE_TEXT || facts.utf16 > (size_t) most)
		return;
	if (facts.clusters > MAX_TEMPLATE_TEXT)
		ln_check_report(c, &text_seg, LN_RULE_VALUE_TOO_LONG,
						"%zu UTF-16 units long, at most %d are allowed beside"
						" a title", facts.utf16, MAX_TEMPLATE_TEXT);
	else
		ln_check_report(c, &text_seg, LN_RULE_TEMPLATE_TEXT_LONG,
						"%zu UTF-16 units long, LINE documents at most %d"
						" characters beside a title", facts.utf16,
						MAX_TEMPLATE_TEXT);
}

static void
check_template_image(LnChecker *c, const LnPathSegment *seg, bool there)
{
	LnPathSegment image_seg = {seg, LIT("thumbnailImageUrl"), 0};

	if (there)
		ln_check_report(c, &image_seg, LN_RULE_TEMPLATE_IMAGE,
						"images are forbidden in notification messages");
}

/* All columns have the same number of actions, and all or none a title. */
static void
check_columns(LnChecker *c, const LnPathSegment *seg, uint32_t columns)
{
	const LnJsonNode *nodes = c->tree->nodes;
	LnPathSegment columns_seg = {seg, LIT("columns"), 0};
	LnPathSegment column_seg = {&columns_seg, NULL, 0, 0};
	uint32_t	first_actions = 0;
	bool		first_title = false;
	uint32_t	i;

	if (columns == 0)
		return;
	for (i = columns + 1;
		 i < nodes[columns].end && column_seg.index < LN_CHECK_MAX_LOOKED_AT;
		 i = nodes[i].end, column_seg.index++)
	{
		uint32_t	actions = ln_json_find(c->tree, i, LIT("actions"));
		uint32_t	title = ln_json_find(c->tree, i, LIT("title"));
		bool		has_title = title != 0 &&
		nodes[title].type != LN_JSON_NULL;
		uint32_t	n_actions = actions != 0 ? nodes[actions].count : 0;

		if (column_seg.index == 0)
		{
			first_actions = n_actions;
			first_title = has_title;
			continue;
		}
		if (n_actions != first_actions)
			ln_check_report(c, &column_seg, LN_RULE_TEMPLATE_COLUMNS,
							"%u actions, the first column has %u",
							(unsigned) n_actions, (unsigned) first_actions);
		if (has_title != first_title)
			ln_check_report(c, &column_seg, LN_RULE_TEMPLATE_COLUMNS,
							has_title ?
							"a title, and the first column has none" :
							"no title, and the first column has one");
	}
}

/* A text component shows its text, or its spans. */
static void
check_text_component(LnChecker *c, const LnPathSegment *seg,
					 const Found *found)
{
	LnPathSegment text_seg = {seg, LIT("text"), 0};
	uint32_t	contents = AT(FlexText, contents);
	bool		spans = contents != 0 && c->tree->nodes[contents].count > 0;

	if (AT(FlexText, text) != 0)
		ln_check_text(c, &text_seg, AT(FlexText, text), 0,
					  spans ? TEXT_EMPTY_OK | TEXT_BLANK_OK :
					  TEXT_BLANK_WARN);
	else if (HAS(FlexText, text) || HAS(FlexText, contents))
	{
		if (contents != 0 && !spans && !HAS(FlexText, text))
			ln_check_report(c, seg, LN_RULE_FLEX_TEXT_BLANK,
							"has neither text nor spans");
	}
	else
	{
		uint32_t	text = ln_json_find(c->tree, found->node, LIT("text"));

		if (text != 0)
			ln_check_report(c, &text_seg, LN_RULE_VALUE_NULL, "is null");
		else
			ln_check_report(c, &text_seg, LN_RULE_PROPERTY_MISSING,
							"text or contents is required");
	}
}

/* The bubbles of a carousel are of one size. */
static void
check_sizes(LnChecker *c, const LnPathSegment *seg, uint32_t contents)
{
	static const LnJsonNode default_size =
	{.str = "mega",.len = 4,.type = LN_JSON_STRING};
	const LnJsonNode *nodes = c->tree->nodes;
	LnPathSegment contents_seg = {seg, LIT("contents"), 0};
	LnPathSegment bubble_seg = {&contents_seg, NULL, 0, 0};
	LnPathSegment size_seg = {&bubble_seg, LIT("size"), 0};
	const LnJsonNode *first = NULL;
	uint32_t	i;

	if (contents == 0)
		return;
	for (i = contents + 1;
		 i < nodes[contents].end && bubble_seg.index < LN_CHECK_MAX_LOOKED_AT;
		 i = nodes[i].end, bubble_seg.index++)
	{
		const LnJsonNode *size = &default_size;
		uint32_t	s = ln_json_find(c->tree, i, LIT("size"));

		if (s != 0 && nodes[s].type == LN_JSON_STRING)
			size = &nodes[s];
		if (first == NULL)
			first = size;
		else if (!ln_check_string_is(first, size->str, size->len))
			ln_check_report(c, &size_seg, LN_RULE_CAROUSEL_SIZES,
							"the bubbles of a carousel must be of one size");
	}
}

/*
 * A label is what people tap on, except where something else is.  LINE counts
 * it in grapheme clusters.
 */
static void
check_label(LnChecker *c, const LnPathSegment *seg, uint32_t label,
			Place place)
{
	LnPathSegment label_seg = {seg, LIT("label"), 0};
	bool		required = place == PLACE_BUTTON || place == PLACE_TEMPLATE ||
	place == PLACE_QUICK_REPLY;
	size_t		max = place == PLACE_FLEX || place == PLACE_BUTTON ?
	MAX_FLEX_LABEL : MAX_LABEL;
	LnTextFacts facts;

	if (label == 0)
	{
		if (required)
			ln_check_report(c, &label_seg, LN_RULE_ACTION_LABEL_MISSING,
							"nothing to see on the button");
		return;
	}
	if (!ln_check_text(c, &label_seg, label, 0,
					   TEXT_EMPTY_OK | TEXT_BLANK_OK))
		return;
	ln_check_scan(c->tree->nodes[label].str, c->tree->nodes[label].len,
				  &facts);
	if (facts.clusters > max)
		ln_check_report(c, &label_seg, LN_RULE_VALUE_TOO_LONG,
						"%zu characters long, at most %zu are allowed",
						facts.clusters, max);
	else if (facts.utf16 > max)
		ln_check_report(c, &label_seg, LN_RULE_ACTION_LABEL,
						"%zu UTF-16 units long, LINE documents at most %zu"
						" characters", facts.utf16, max);
	else if (facts.utf16 == 0 && required)
		ln_check_report(c, &label_seg, LN_RULE_ACTION_LABEL_MISSING,
						"nothing to see on the button");
	else if (facts.blank && required)
		ln_check_report(c, &label_seg, LN_RULE_ACTION_LABEL,
						"nothing to see on the button");
}

/* two digits, or -1 */
static int
two_digits(const char *s)
{
	return s[0] >= '0' && s[0] <= '9' && s[1] >= '0' && s[1] <= '9' ?
		(s[0] - '0') * 10 + (s[1] - '0') : -1;
}

/*
 * Reads a date (2026-11-26), a time (09:30) or both (with T or t between
 * them) as something that can be compared, -1 when it is none.
 */
static int64_t
read_moment(const LnJsonNode *n, bool has_date, bool has_time)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	const char *s = n->str;
	int64_t		result = 0;

	if (n->len != (has_date && has_time ? 16u : has_date ? 10u : 5u))
		return -1;
	if (has_date)
	{
		int			century = two_digits(s);
		int			rest = two_digits(s + 2);
		int			year = century * 100 + rest;
		int			month = two_digits(s + 5);
		int			day = two_digits(s + 8);
		bool		leap = year % 4 == 0 &&
		(year % 100 != 0 || year % 400 == 0);

		if (century < 0 || rest < 0 || s[4] != '-' || s[7] != '-' ||
			year < 1900 || year > 2100 || month < 1 || month > 12 ||
			day < 1 || day > days[month - 1] + (month == 2 && leap))
			return -1;
		result = (int64_t) (year * 100 + month) * 100 + day;
		s += 10;
	}
	if (has_date && has_time && *s != 'T' && *s != 't')
		return -1;
	if (has_time)
	{
		int			hour;
		int			minute;

		s += has_date;
		hour = two_digits(s);
		minute = two_digits(s + 3);
		if (hour < 0 || hour > 23 || s[2] != ':' || minute < 0 || minute > 59)
			return -1;
		result = result * 10000 + hour * 100 + minute;
	}
	return result;
}

static void
check_datetime(LnChecker *c, const LnPathSegment *seg, const Found *found)
{
	const LnJsonNode *nodes = c->tree->nodes;
	const LnJsonNode *mode = &nodes[AT(DatetimePickerAction, mode)];
	static const char *const keys[] = {"initial", "min", "max"};
	uint32_t	values[3] = {AT(DatetimePickerAction, initial),
		AT(DatetimePickerAction, min), AT(DatetimePickerAction, max)
	};
	int64_t		moments[3];
	bool		has_date;
	bool		has_time;
	int			i;

	if (AT(DatetimePickerAction, mode) == 0 ||
		!ln_check_in_list(mode->str, mode->len, "date time datetime"))
		return;
	has_date = mode->str[0] == 'd';
	has_time = mode->len != 4 || !has_date;
	for (i = 0; i < 3; i++)
	{
		LnPathSegment value_seg = {seg, keys[i], strlen(keys[i]), 0};

		moments[i] = -1;
		if (values[i] == 0)
			continue;
		moments[i] = read_moment(&nodes[values[i]], has_date, has_time);
		if (moments[i] < 0)
			ln_check_report(c, &value_seg, LN_RULE_DATETIME_INVALID,
							"must be like %s, and from 1900 to 2100",
							!has_time ? "2026-11-26" : !has_date ? "09:30" :
							"2026-11-26T09:30");
	}
	if (moments[1] >= 0 && moments[2] >= 0 && moments[1] >= moments[2])
		ln_check_report(c, seg, LN_RULE_DATETIME_ORDER,
						"min must be before max");
	else if (moments[0] >= 0 &&
			 ((moments[1] >= 0 && moments[0] < moments[1]) ||
			  (moments[2] >= 0 && moments[0] > moments[2])))
		ln_check_report(c, seg, LN_RULE_DATETIME_INITIAL,
						"initial is not between min and max");
}

static void
check_postback(LnChecker *c, const LnPathSegment *seg, const Found *found,
			   Place place)
{
	const LnJsonNode *option =
	&c->tree->nodes[AT(PostbackAction, inputOption)];
	LnPathSegment text_seg = {seg, LIT("text"), 0};
	LnPathSegment fill_seg = {seg, LIT("fillInText"), 0};
	LnPathSegment display_seg = {seg, LIT("displayText"), 0};

	if (HAS(PostbackAction, text) && HAS(PostbackAction, displayText))
		ln_check_report(c, &text_seg, LN_RULE_PROPERTY_CONFLICT,
						"text and displayText cannot both be there");
	else if (HAS(PostbackAction, text) && place == PLACE_QUICK_REPLY)
		ln_check_report(c, &text_seg, LN_RULE_PROPERTY_CONFLICT,
						"text cannot be used in a quick reply, displayText"
						" can");
	else if (!HAS(PostbackAction, displayText) && place == PLACE_QUICK_REPLY)
		ln_check_report(c, &display_seg, LN_RULE_PROPERTY_ADVISED,
						"LINE says that quick replies need it");
	if (HAS(PostbackAction, fillInText) &&
		(AT(PostbackAction, inputOption) == 0 ||
		 !ln_check_string_is(option, LIT("openKeyboard"))))
		ln_check_report(c, &fill_seg, LN_RULE_PROPERTY_IGNORED,
						"goes with inputOption openKeyboard only");
}

/*
 * What no table says about an object.  Returns the place of its children.
 */
static Place
check_together(LnChecker *c, const LnPathSegment *seg, ObjectId object,
			   const Found *found, Place place)
{
	const LnJsonNode *nodes = c->tree->nodes;

	switch (object)
	{
		case OBJECT_TextMessage:
			check_emojis(c, seg, AT(TextMessage, text),
						 AT(TextMessage, emojis));
			break;
		case OBJECT_TextMessageV2:
			check_substitution(c, seg, AT(TextMessageV2, text),
							   AT(TextMessageV2, substitution));
			break;
		case OBJECT_LocationMessage:
			check_location(c, seg, "latitude",
						   AT(LocationMessage, latitude), 90);
			check_location(c, seg, "longitude",
						   AT(LocationMessage, longitude), 180);
			break;
		case OBJECT_Sender:
			check_sender(c, seg, found);
			break;
		case OBJECT_QuickReplyItem:
			if (!HAS(QuickReplyItem, type))
			{
				LnPathSegment type_seg = {seg, LIT("type"), 0};

				ln_check_report(c, &type_seg, LN_RULE_PROPERTY_ADVISED,
								"LINE's reference requires \"action\"");
			}
			if (AT(QuickReplyItem, imageUrl) != 0)
			{
				LnPathSegment image_seg = {seg, LIT("imageUrl"), 0};

				ln_check_report(c, &image_seg, LN_RULE_QUICK_REPLY_IMAGE,
								"an icon is likely to be refused in the"
								" review");
			}
			return PLACE_QUICK_REPLY;
		case OBJECT_ButtonsTemplate:
			check_template_image(c, seg,
								 HAS(ButtonsTemplate, thumbnailImageUrl));
			check_beside_title(c, seg, AT(ButtonsTemplate, title),
							   AT(ButtonsTemplate, text),
							   MOST_ButtonsTemplate_text);
			return PLACE_TEMPLATE;
		case OBJECT_ConfirmTemplate:
			return PLACE_TEMPLATE;
		case OBJECT_CarouselTemplate:
			check_columns(c, seg, AT(CarouselTemplate, columns));
			break;
		case OBJECT_CarouselColumn:
			check_template_image(c, seg,
								 HAS(CarouselColumn, thumbnailImageUrl));
			check_beside_title(c, seg, AT(CarouselColumn, title),
							   AT(CarouselColumn, text),
							   MOST_CarouselColumn_text);
			return PLACE_TEMPLATE;
		case OBJECT_FlexCarousel:
			check_sizes(c, seg, AT(FlexCarousel, contents));
			return PLACE_CAROUSEL;
		case OBJECT_FlexBubble:
			if (!HAS(FlexBubble, header) && !HAS(FlexBubble, hero) &&
				!HAS(FlexBubble, body) && !HAS(FlexBubble, footer))
				ln_check_report(c, seg, LN_RULE_BUBBLE_EMPTY,
								"header, hero, body or footer is required");
			return PLACE_BLOCK;
		case OBJECT_FlexBox:
			if (AT(FlexBox, layout) != 0 &&
				ln_check_string_is(&nodes[AT(FlexBox, layout)],
								   LIT("baseline")))
				return PLACE_BASELINE;
			return PLACE_BOX;
		case OBJECT_FlexText:
			check_text_component(c, seg, found);
			return PLACE_TEXT;
		case OBJECT_FlexButton:
			return PLACE_BUTTON;
		case OBJECT_CameraAction:
			check_label(c, seg, AT(CameraAction, label), place);
			break;
		case OBJECT_CameraRollAction:
			check_label(c, seg, AT(CameraRollAction, label), place);
			break;
		case OBJECT_LocationAction:
			check_label(c, seg, AT(LocationAction, label), place);
			break;
		case OBJECT_ClipboardAction:
			check_label(c, seg, AT(ClipboardAction, label), place);
			break;
		case OBJECT_DatetimePickerAction:
			check_label(c, seg, AT(DatetimePickerAction, label), place);
			check_datetime(c, seg, found);
			break;
		case OBJECT_MessageAction:
			check_label(c, seg, AT(MessageAction, label), place);
			break;
		case OBJECT_PostbackAction:
			check_label(c, seg, AT(PostbackAction, label), place);
			check_postback(c, seg, found, place);
			break;
		case OBJECT_URIAction:
			check_label(c, seg, AT(URIAction, label), place);
			if (HAS(URIAction, altUri) && place != PLACE_FLEX &&
				place != PLACE_BUTTON)
			{
				LnPathSegment alt_seg = {seg, LIT("altUri"), 0};

				ln_check_report(c, &alt_seg, LN_RULE_PROPERTY_IGNORED,
								"has an effect in Flex Messages only");
			}
			return place;		/* of the address inside */
		default:
			break;
	}
	return PLACE_ANY;
}

/*
 * Looks for images and the like below what we do not know; one finding for
 * each.
 */
static void
find_media(LnChecker *c, const LnPathSegment *seg, uint32_t node)
{
	const LnJsonNode *nodes = c->tree->nodes;
	bool		in_array = nodes[node].type == LN_JSON_ARRAY;
	LnPathSegment child_seg = {seg, NULL, 0, 0};
	uint32_t	i;

	if (nodes[node].type == LN_JSON_OBJECT)
	{
		uint32_t	type = ln_json_find(c->tree, node, LIT("type"));

		if (type != 0 && nodes[type].type == LN_JSON_STRING &&
			ln_check_in_list(nodes[type].str, nodes[type].len,
							 "image video audio imagemap image_carousel"))
		{
			ln_check_report(c, seg, LN_RULE_FLEX_MEDIA,
							"images and videos are forbidden in notification"
							" messages");
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
