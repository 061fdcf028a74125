/* chat.h: the interactive chat of `run` on a terminal. */
#ifndef CLI_CHAT_H
#define CLI_CHAT_H

#include "tools.h"

/* Chats until /exit or Ctrl-D. name: the model's, for the greeting; runner: its doc is NULL where
 * no tool is to be run. -> exit status */
int chat_run(const cli_call *call, mlxe_model *model, const char *name, const char *tools,
             tool_runner *runner);

#endif
