/* analyzer.h: put before every C file of src/ by tidy.sh.
 *
 * Clang's analyzer looks at one file at a time, so it cannot know that err_set returns the code it
 * is given, and err_memory MLXE_E_MEMORY: it would follow every failure as if it were a success. */
#ifndef TOOLS_CHECK_ANALYZER_H
#define TOOLS_CHECK_ANALYZER_H

#include "base/error.h"

#define err_set(err, code, ...)      ((void)(err_set)(err, code, __VA_ARGS__), (code))
#define err_memory(err, what, bytes) ((void)(err_memory)(err, what, bytes), MLXE_E_MEMORY)

#endif
