/* describe.h: JSON descriptions that the library gives, for people. */
#ifndef CLI_DESCRIBE_H
#define CLI_DESCRIBE_H

#include "out.h"

/* Prints the members of an object, one a line, "name: value" with the values in one column; a list
 * of objects becomes one row each. skip (may be NULL): a member that is left out. */
void describe_print(yyjson_val *object, const char *skip);

#endif
