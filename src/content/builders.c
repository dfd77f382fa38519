/*-------------------------------------------------------------------------
 *
 * builders.c
 *		Short SQL functions that write the bodies of messages.
 *
 * Builders run in the transaction of an order, so they follow the same
 * division as the outbox: a mistake in the program (a key of a wrong shape, a
 * sixteenth item, an image) is an error at once, 22023.  A value from data
 * that is NULL, empty or too long is not: it is built in as it is, and INSERT
 * parks that one message, as on_invalid says.
 *
 * Each result that is complete is run through the checker, so what a builder
 * returned can only fail later for its values.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "compat.h"
#include "content/check_common.h"
#include "content/message_funcs.h"

/* "name": 'text' or null */
#define ADD_TEXT(ps, name, t)	add_text(ps, name, sizeof(name) - 1, t)
/* "name": "constant" */
#define ADD_CONST(ps, name, c) \
	add_string(ps, name, sizeof(name) - 1, c, sizeof(c) - 1)
#define ADD_KEY(ps, name)		add_key(ps, name, sizeof(name) - 1)

/* an argument that may be NULL */
#define ARG_TEXT(n)				(PG_ARGISNULL(n) ? NULL : PG_GETARG_TEXT_PP(n))
#define ARG_JSONB(n)			(PG_ARGISNULL(n) ? NULL : PG_GETARG_JSONB_P(n))
#define ARG_ARRAY(n) \
	(PG_ARGISNULL(n) ? NULL : PG_GETARG_ARRAYTYPE_P(n))

PG_FUNCTION_INFO_V1(line_notify_item);
PG_FUNCTION_INFO_V1(line_notify_optional_item);
PG_FUNCTION_INFO_V1(line_notify_items);
PG_FUNCTION_INFO_V1(line_notify_button);
PG_FUNCTION_INFO_V1(line_notify_buttons);
PG_FUNCTION_INFO_V1(line_notify_template_body);
PG_FUNCTION_INFO_V1(line_notify_messages);
PG_FUNCTION_INFO_V1(line_notify_text_message);
PG_FUNCTION_INFO_V1(line_notify_flex_message);
PG_FUNCTION_INFO_V1(line_notify_flex_text);
PG_FUNCTION_INFO_V1(line_notify_flex_button);
PG_FUNCTION_INFO_V1(line_notify_flex_separator);
PG_FUNCTION_INFO_V1(line_notify_flex_row);
PG_FUNCTION_INFO_V1(line_notify_flex_box);
PG_FUNCTION_INFO_V1(line_notify_flex_bubble);
PG_FUNCTION_INFO_V1(line_notify_flex_notice);

static void begin_object(JsonbParseState **ps);
static void begin_array(JsonbParseState **ps);
static JsonbValue *end_object(JsonbParseState **ps);
static JsonbValue *end_array(JsonbParseState **ps);
static void add_key(JsonbParseState **ps, const char *name, int len);
static void add_string(JsonbParseState **ps, const char *name, int namelen,
					   const char *str, int len);
static void add_text(JsonbParseState **ps, const char *name, int namelen,
					 text * value);
static void add_int(JsonbParseState **ps, const char *name, int64 value);
static void add_true(JsonbParseState **ps, const char *name);
static void add_jsonb(JsonbParseState **ps, Jsonb *jb);
static void add_elements(JsonbParseState **ps, ArrayType *array);
static bool has_elements(ArrayType *array);
static void add_row(JsonbParseState **ps, text * label, text * value);
static void add_button(JsonbParseState **ps, text * label, text * uri);
static Jsonb *with_options(JsonbValue *value, Jsonb *options);
static Datum key_value_object(text * key, text * value, bool is_button);
static Datum pairs(FunctionCallInfo fcinfo, bool is_button);
static void raise_statement_fault(const char *what,
								  const LnContentFinding *first);

/*
 * item(key, content), button(key, url)
 */
Datum
line_notify_item(PG_FUNCTION_ARGS)
{
	return key_value_object(ARG_TEXT(0), ARG_TEXT(1), false);
}

Datum
line_notify_button(PG_FUNCTION_ARGS)
{
	return key_value_object(ARG_TEXT(0), ARG_TEXT(1), true);
}

/*
 * optional_item(key, content): NULL, which template_body() leaves out, when
 * there is no content
 */
Datum
line_notify_optional_item(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1) || VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(1)) == 0)
		PG_RETURN_NULL();
	return key_value_object(ARG_TEXT(0), ARG_TEXT(1), false);
}

/*
 * items(VARIADIC text[]), buttons(VARIADIC text[]): key, value, key, value,
 * ...
 */
Datum
line_notify_items(PG_FUNCTION_ARGS)
{
	return pairs(fcinfo, false);
}

Datum
line_notify_buttons(PG_FUNCTION_ARGS)
{
	return pairs(fcinfo, true);
}

/*
 * template_body(emphasized, items, buttons)
 */
Datum
line_notify_template_body(PG_FUNCTION_ARGS)
{
	JsonbParseState *ps = NULL;
	ArrayType  *items = ARG_ARRAY(1);
	ArrayType  *buttons = ARG_ARRAY(2);
	LnContentFinding first;
	Jsonb	   *body;

	begin_object(&ps);
	if (!PG_ARGISNULL(0))
	{
		ADD_KEY(&ps, "emphasizedItem");
		add_jsonb(&ps, PG_GETARG_JSONB_P(0));
	}
	if (items != NULL && has_elements(items))
	{
		ADD_KEY(&ps, "items");
		begin_array(&ps);
		add_elements(&ps, items);
		end_array(&ps);
	}
	if (buttons != NULL && has_elements(buttons))
	{
		ADD_KEY(&ps, "buttons");
		begin_array(&ps);
		add_elements(&ps, buttons);
		end_array(&ps);
	}
	body = JsonbValueToJsonb(end_object(&ps));

	if (ln_check_template("x", body, NULL, false, &first) > 0)
		raise_statement_fault("template body", &first);
	PG_RETURN_JSONB_P(body);
}

/*
 * messages(VARIADIC jsonb[]): the array that the outbox takes
 */
Datum
line_notify_messages(PG_FUNCTION_ARGS)
{
	JsonbParseState *ps = NULL;
	ArrayType  *array = ARG_ARRAY(0);
	LnContentFinding first;
	Jsonb	   *result;

	begin_array(&ps);
	if (array != NULL)
		add_elements(&ps, array);
	result = JsonbValueToJsonb(end_array(&ps));
	if (ln_check_flexible(result, NULL, false, &first) > 0)
		raise_statement_fault("messages", &first);
	PG_RETURN_JSONB_P(result);
}

/*
 * text_message(text, options)
 */
Datum
line_notify_text_message(PG_FUNCTION_ARGS)
{
	JsonbParseState *ps = NULL;

	begin_object(&ps);
	ADD_CONST(&ps, "type", "text");
	ADD_TEXT(&ps, "text", ARG_TEXT(0));
	PG_RETURN_JSONB_P(with_options(end_object(&ps), ARG_JSONB(1)));
}

/*
 * flex_message(alt_text, contents, options)
 */
Datum
line_notify_flex_message(PG_FUNCTION_ARGS)
{
	JsonbParseState *ps = NULL;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("contents of a Flex message must not be null")));
	begin_object(&ps);
	ADD_CONST(&ps, "type", "flex");
	ADD_TEXT(&ps, "altText", ARG_TEXT(0));
	ADD_KEY(&ps, "contents");
	add_jsonb(&ps, PG_GETARG_JSONB_P(1));
	PG_RETURN_JSONB_P(with_options(end_object(&ps), ARG_JSONB(2)));
}

/*
 * flex_text(text, options): wraps, unless the options say otherwise
 */
Datum
line_notify_flex_text(PG_FUNCTION_ARGS)
{
	JsonbParseState *ps = NULL;

	begin_object(&ps);
	ADD_CONST(&ps, "type", "text");
	ADD_TEXT(&ps, "text", ARG_TEXT(0));
	add_true(&ps, "wrap");
	PG_RETURN_JSONB_P(with_options(end_object(&ps), ARG_JSONB(1)));
}

/*
 * flex_button(label, uri, options)
 */
Datum
line_notify_flex_button(PG_FUNCTION_ARGS)
{
	JsonbParseState *ps = NULL;

	begin_object(&ps);
	add_button(&ps, ARG_TEXT(0), ARG_TEXT(1));
	PG_RETURN_JSONB_P(with_options(end_object(&ps), ARG_JSONB(2)));
}

/*
 * flex_separator(options)
 */
Datum
line_notify_flex_separator(PG_FUNCTION_ARGS)
{
	JsonbParseState *ps = NULL;

	begin_object(&ps);
	ADD_CONST(&ps, "type", "separator");
	ADD_CONST(&ps, "margin", "md");
	PG_RETURN_JSONB_P(with_options(end_object(&ps), ARG_JSONB(0)));
}

/*
 * flex_row(label, value, options): a line of a table
 */
Datum
line_notify_flex_row(PG_FUNCTION_ARGS)
{
	JsonbParseState *ps = NULL;

	begin_object(&ps);
	add_row(&ps, ARG_TEXT(0), ARG_TEXT(1));
	PG_RETURN_JSONB_P(with_options(end_object(&ps), ARG_JSONB(2)));
}

/*
 * flex_box(layout, contents, options)
 */
Datum
line_notify_flex_box(PG_FUNCTION_ARGS)
{
	JsonbParseState *ps = NULL;
	ArrayType  *contents = ARG_ARRAY(1);
	text	   *layout = ARG_TEXT(0);
	char	   *name = layout ? text_to_cstring(layout) : "";

	if (strcmp(name, "horizontal") != 0 && strcmp(name, "vertical") != 0 &&
		strcmp(name, "baseline") != 0)
		ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown layout of a Flex box"),
				 errhint(
						 "The layouts are \"horizontal\", \"vertical\" and "
						 "\"baseline\".")));

	begin_object(&ps);
	ADD_CONST(&ps, "type", "box");
	ADD_TEXT(&ps, "layout", layout);
	ADD_KEY(&ps, "contents");
	begin_array(&ps);
	if (contents != NULL)
		add_elements(&ps, contents);
	end_array(&ps);
	PG_RETURN_JSONB_P(with_options(end_object(&ps), ARG_JSONB(2)));
}

/*
 * flex_bubble(body, header, footer, options): each block is a list of
 * components, put into a vertical box
 */
Datum
line_notify_flex_bubble(PG_FUNCTION_ARGS)
{
	static const char *const blocks[] = {"body", "header", "footer"};
	JsonbParseState *ps = NULL;
	int			i;

	begin_object(&ps);
	ADD_CONST(&ps, "type", "bubble");
	for (i = 0; i < 3; i++)
	{
		ArrayType  *contents = ARG_ARRAY(i);

		if (contents == NULL || !has_elements(contents))
			continue;
		add_key(&ps, blocks[i], strlen(blocks[i]));
		begin_object(&ps);
		ADD_CONST(&ps, "type", "box");
		ADD_CONST(&ps, "layout", "vertical");
		ADD_CONST(&ps, "spacing", "md");
		ADD_KEY(&ps, "contents");
		begin_array(&ps);
		add_elements(&ps, contents);
		end_array(&ps);
		end_object(&ps);
	}
	PG_RETURN_JSONB_P(with_options(end_object(&ps), ARG_JSONB(3)));
}

/*
 * flex_notice(title, rows, text, button_label, button_url, alt_text)
 *
 * The whole message that most use cases need: a title, a table, a sentence, a
 * button.  rows are pairs of label and value, in one or two dimensions.
 */
Datum
line_notify_flex_notice(PG_FUNCTION_ARGS)
{
	JsonbParseState *ps = NULL;
	text	   *title = ARG_TEXT(0);
	ArrayType  *rows = ARG_ARRAY(1);
	text	   *sentence = ARG_TEXT(2);
	text	   *button_label = ARG_TEXT(3);
	text	   *button_url = ARG_TEXT(4);
	text	   *alt_text = ARG_TEXT(5);
	Datum	   *elems = NULL;
	bool	   *nulls = NULL;
	int			n = 0;
	int			i;
	Jsonb	   *result;

	if (rows != NULL)
		deconstruct_array(rows, TEXTOID, -1, false, TYPALIGN_INT,
						  &elems, &nulls, &n);
	if (n % 2 != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rows must be pairs of label and value"),
				 errdetail("The number of elements is %d.", n)));

	begin_object(&ps);
	ADD_CONST(&ps, "type", "flex");
	ADD_TEXT(&ps, "altText", alt_text ? alt_text : title);
	ADD_KEY(&ps, "contents");
	begin_object(&ps);
	ADD_CONST(&ps, "type", "bubble");

	ADD_KEY(&ps, "body");
	begin_object(&ps);
	ADD_CONST(&ps, "type", "box");
	ADD_CONST(&ps, "layout", "vertical");
	ADD_CONST(&ps, "spacing", "md");
	ADD_KEY(&ps, "contents");
	begin_array(&ps);

	begin_object(&ps);
	ADD_CONST(&ps, "type", "text");
	ADD_TEXT(&ps, "text", title);
	ADD_CONST(&ps, "size", "lg");
	ADD_CONST(&ps, "weight", "bold");
	add_true(&ps, "wrap");
	end_object(&ps);
	if (n > 0)
	{
		begin_object(&ps);
		ADD_CONST(&ps, "type", "separator");
		end_object(&ps);
	}
	for (i = 0; i < n; i += 2)
	{
		begin_object(&ps);
		add_row(&ps, nulls[i] ? NULL : DatumGetTextPP(elems[i]),
				nulls[i + 1] ? NULL : DatumGetTextPP(elems[i + 1]));
		end_object(&ps);
	}
	if (sentence != NULL)
	{
		begin_object(&ps);
		ADD_CONST(&ps, "type", "text");
		ADD_TEXT(&ps, "text", sentence);
		ADD_CONST(&ps, "size", "sm");
		add_true(&ps, "wrap");
		end_object(&ps);
	}
	end_array(&ps);
	end_object(&ps);

	if (button_label != NULL || button_url != NULL)
	{
		ADD_KEY(&ps, "footer");
		begin_object(&ps);
		ADD_CONST(&ps, "type", "box");
		ADD_CONST(&ps, "layout", "vertical");
		ADD_KEY(&ps, "contents");
		begin_array(&ps);
		begin_object(&ps);
		add_button(&ps, button_label, button_url);
		end_object(&ps);
		end_array(&ps);
		end_object(&ps);
	}
	end_object(&ps);
	result = JsonbValueToJsonb(end_object(&ps));
	PG_RETURN_JSONB_P(result);
}

/*
 * Helpers
 */

static void
begin_object(JsonbParseState **ps)
{
	pushJsonbValue(ps, WJB_BEGIN_OBJECT, NULL);
}

static void
begin_array(JsonbParseState **ps)
{
	pushJsonbValue(ps, WJB_BEGIN_ARRAY, NULL);
}

static JsonbValue *
end_object(JsonbParseState **ps)
{
	return pushJsonbValue(ps, WJB_END_OBJECT, NULL);
}

static JsonbValue *
end_array(JsonbParseState **ps)
{
	return pushJsonbValue(ps, WJB_END_ARRAY, NULL);
}

static void
add_key(JsonbParseState **ps, const char *name, int len)
{
	JsonbValue	v;

	v.type = jbvString;
	v.val.string.val = unconstify(char *, name);
	v.val.string.len = len;
	pushJsonbValue(ps, WJB_KEY, &v);
}

static void
add_string(JsonbParseState **ps, const char *name, int namelen,
		   const char *str, int len)
{
	JsonbValue	v;

	add_key(ps, name, namelen);
	v.type = jbvString;
	v.val.string.val = unconstify(char *, str);
	v.val.string.len = len;
	pushJsonbValue(ps, WJB_VALUE, &v);
}

/* NULL becomes null, which the checker reports as a row fault */
static void
add_text(JsonbParseState **ps, const char *name, int namelen, text * value)
{
	JsonbValue	v;

	if (value != NULL)
	{
		add_string(ps, name, namelen, VARDATA_ANY(value),
				   VARSIZE_ANY_EXHDR(value));
		return;
	}
	add_key(ps, name, namelen);
	v.type = jbvNull;
	pushJsonbValue(ps, WJB_VALUE, &v);
}

static void
add_int(JsonbParseState **ps, const char *name, int64 value)
{
	JsonbValue	v;

	add_key(ps, name, strlen(name));
	v.type = jbvNumeric;
	v.val.numeric = int64_to_numeric(value);
	pushJsonbValue(ps, WJB_VALUE, &v);
}

static void
add_true(JsonbParseState **ps, const char *name)
{
	JsonbValue	v;

	add_key(ps, name, strlen(name));
	v.type = jbvBool;
	v.val.boolean = true;
	pushJsonbValue(ps, WJB_VALUE, &v);
}

/* a value after a key, or an element of an array */
static void
add_jsonb(JsonbParseState **ps, Jsonb *jb)
{
	JsonbValue	v;
	bool		in_array = (*ps)->contVal.type == jbvArray;

	if (JB_ROOT_IS_SCALAR(jb))
		(void) JsonbExtractScalar(&jb->root, &v);
	else
	{
		v.type = jbvBinary;
		v.val.binary.data = &jb->root;
		v.val.binary.len = VARSIZE(jb) - VARHDRSZ;
	}
	pushJsonbValue(ps, in_array ? WJB_ELEM : WJB_VALUE, &v);
}

/* the elements of a jsonb[], but for NULLs */
static void
add_elements(JsonbParseState **ps, ArrayType *array)
{
	Datum	   *elems;
	bool	   *nulls;
	int			n;
	int			i;

	deconstruct_array(array, JSONBOID, -1, false, TYPALIGN_INT,
					  &elems, &nulls, &n);
	for (i = 0; i < n; i++)
	{
		if (!nulls[i])
			add_jsonb(ps, DatumGetJsonbP(elems[i]));
	}
}

/* is there an element that is not NULL? */
static bool
has_elements(ArrayType *array)
{
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	bits8	   *bitmap = ARR_NULLBITMAP(array);
	int			i;

	if (bitmap == NULL)
		return n > 0;
	for (i = 0; i < n; i++)
	{
		if (bitmap[i / 8] & (1 << (i % 8)))
			return true;
	}
	return false;
}

/* the properties of a row: a pale label, a value that wraps */
static void
add_row(JsonbParseState **ps, text * label, text * value)
{
	ADD_CONST(ps, "type", "box");
	ADD_CONST(ps, "layout", "baseline");
	ADD_CONST(ps, "spacing", "sm");
	ADD_KEY(ps, "contents");
	begin_array(ps);

	begin_object(ps);
	ADD_CONST(ps, "type", "text");
	ADD_TEXT(ps, "text", label);
	ADD_CONST(ps, "size", "sm");
	ADD_CONST(ps, "color", "#767676");	/* contrast 4.5 on white */
	add_true(ps, "wrap");
	add_int(ps, "flex", 2);
	end_object(ps);

	begin_object(ps);
	ADD_CONST(ps, "type", "text");
	ADD_TEXT(ps, "text", value);
	ADD_CONST(ps, "size", "sm");
	add_true(ps, "wrap");
	add_int(ps, "flex", 5);
	end_object(ps);

	end_array(ps);
}

static void
add_button(JsonbParseState **ps, text * label, text * uri)
{
	ADD_CONST(ps, "type", "button");
	ADD_KEY(ps, "action");
	begin_object(ps);
	ADD_CONST(ps, "type", "uri");
	ADD_TEXT(ps, "label", label);
	ADD_TEXT(ps, "uri", uri);
	end_object(ps);
}

/* the object, with further properties or other values for its properties */
static Jsonb *
with_options(JsonbValue *value, Jsonb *options)
{
	Jsonb	   *jb = JsonbValueToJsonb(value);

	if (options == NULL)
		return jb;
	if (!JB_ROOT_IS_OBJECT(options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object")));
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat,
											  JsonbPGetDatum(jb),
											  JsonbPGetDatum(options)));
}

static Datum
key_value_object(text * key, text * value, bool is_button)
{
	JsonbParseState *ps = NULL;

	if (key == NULL ||
		!ln_check_is_key(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key),
						 LN_CHECK_MAX_KEY))
		ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 is_button ? errmsg("invalid button key")
				 : errmsg("invalid item key"),
				 errdetail("Keys are 1 to %d letters, digits and "
						   "underscores.", LN_CHECK_MAX_KEY),
				 errhint(
						 "The keys are listed in LINE's catalogue, for "
						 "example \"%s\".",
						 is_button ? "check_details_ja" : "name_013_ja")));

	begin_object(&ps);
	if (is_button)
	{
		ADD_TEXT(&ps, "buttonKey", key);
		ADD_TEXT(&ps, "url", value);
	}
	else
	{
		ADD_TEXT(&ps, "itemKey", key);
		ADD_TEXT(&ps, "content", value);
	}
	PG_RETURN_JSONB_P(JsonbValueToJsonb(end_object(&ps)));
}

static Datum
pairs(FunctionCallInfo fcinfo, bool is_button)
{
	ArrayType  *array = ARG_ARRAY(0);
	Datum	   *elems;
	bool	   *nulls;
	int			n;
	int			i;

	if (array == NULL)
		PG_RETURN_NULL();
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT,
					  &elems, &nulls, &n);
	if (n % 2 != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arguments must be pairs of key and %s",
						is_button ? "url" : "content"),
				 errdetail("The number of arguments is %d.", n)));
	for (i = 0; i < n; i += 2)
		elems[i / 2] =
			key_value_object(nulls[i] ? NULL : DatumGetTextPP(elems[i]),
							 nulls[i + 1] ? NULL
							 : DatumGetTextPP(elems[i + 1]),
							 is_button);
	PG_RETURN_ARRAYTYPE_P(construct_array(elems, n / 2, JSONBOID, -1, false,
										  TYPALIGN_INT));
}

/* values from data are not the builder's business */
static void
raise_statement_fault(const char *what, const LnContentFinding *first)
{
	if (first->is_row_fault)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s: %s", what, first->rule),
			 errdetail("%s: %s", first->path, first->message),
			 errhint(
					 "The view line_notify.content_rules describes the "
					 "rules.")));
}
