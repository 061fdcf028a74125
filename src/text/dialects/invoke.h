/* invoke.h: <invoke name="f"><parameter name="k">v</parameter></invoke>: two families have it. */
#ifndef DIALECTS_INVOKE_H
#define DIALECTS_INVOKE_H

#include "text/dialects/parts.h"

/* prefix: what stands before the tags' names ("", "｜DSML｜"). */
void read_invokes(call_list *c, strv body, const char *prefix);

#endif
