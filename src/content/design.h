/*-------------------------------------------------------------------------
 *
 * design.h
 *		Approved designs of flexible messages: does a message have the form
 *		that was reviewed?
 *
 * A design is the messages of a request, with places for what varies:
 *
 *		"Order {number} is on its way"	any text at {number}, which is a name
 *										for readers only
 *		"{price}"						a string that is one place: any string
 *										or number
 *		{{ and }}						braces
 *		{"{optional}": element}			in an array: there or not
 *		{"{repeat}": element}			in an array: any number of times
 *
 * Everything else is as in the message: objects have the same members, arrays
 * the same elements in the same order.  Pure.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_DESIGN_H
#define LN_DESIGN_H

#include <stddef.h>

#include "base/json_tree.h"

/*
 * Elements of an array of a design; a carousel has 12 bubbles, and no box of a
 * message that people read has this many components.
 */
#define LN_DESIGN_MAX_ELEMENTS	255

/* NULL: a design.  Else what is wrong (static text), and *where, a node. */
extern const char *ln_design_fault(const LnJsonTree *design, uint32_t *where);

/*
 * On mismatch, *where is the node of the message that came furthest.  The
 * design must be without fault.
 */
extern bool ln_design_matches(const LnJsonTree *design,
							  const LnJsonTree *message, uint32_t *where);

/*
 * Where a node is, such as contents.body[2].text; "" for the root.  Cut off to
 * fit; names that are not printable ASCII are written as "?".
 */
extern void ln_design_path(const LnJsonTree *tree, uint32_t node, char *buf,
						   size_t room);

#endif							/* LN_DESIGN_H */
