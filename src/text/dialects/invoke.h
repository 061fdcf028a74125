/* invoke.h: calls written in tags: several families have them. */
#ifndef DIALECTS_INVOKE_H
#define DIALECTS_INVOKE_H

#include "text/dialects/parts.h"

/* Calls as <invoke name="f"><parameter name="k">v</parameter></invoke>, one behind the other.
 * prefix: what stands before the tags' names ("", "｜DSML｜"). */
void read_invokes(call_list *c, strv body, const char *prefix);

/* One such call, with tags of other names: from its opening tag's attributes on, without its
 * closing tag. */
typedef struct invoke_tags {
    const char *parameter, *parameter_end; /* "<param", "</param>" */
    int cdata;                             /* a value may stand in <![CDATA[ ]]> */
} invoke_tags;
void read_invoke(call_list *c, strv one, const invoke_tags *t);
/* The name="..." of a tag's attributes, with or without quotes; empty: none. */
strv invoke_name(strv attributes);

/* Keys and values in tags of their own. */
typedef struct keyed_tags {
    const char *key, *key_end;
    const char *value; /* NULL: a value begins right behind its key */
    const char *value_end;
} keyed_tags;
void read_keyed(call_list *c, strv name, strv pairs, const keyed_tags *t);
/* The name, then the pairs; or JSON calls. */
void read_named_keyed(call_list *c, strv body, const keyed_tags *t);

#endif
