/* batch.h: `run --lines`: answers JSONL, several lines at a time, in order. */
#ifndef CLI_BATCH_H
#define CLI_BATCH_H

#include "generate.h"

/* Answers every line of standard input.
 *
 * defaults  GEN_COUNT values of the command line; a line's own win
 * tools     JSON text of --tools or NULL
 * parallel  lines that are answered at the same time
 * ->        exit status */
int batch_run(const cli_call *call, mlxe_model *model, const cli_value *defaults, const char *tools,
              size_t parallel);

#endif
