/* tools.h: the tools that a conversation may call: the list that --tools gives, and running those
 * that are declared as commands. */
#ifndef CLI_TOOLS_H
#define CLI_TOOLS_H

#include "generate.h"

/* Checks a list of tools in OpenAI's form, [{"type":"function","function":{"name":..,
 * "description":..,"parameters":{..}}}] or without the outer object; where: its name in messages.
 * *out: the list as JSON without the "command" members, which are for us and not for the template.
 * Fails INPUT ("--tools: [1].function.name: got nothing, want a string") */
mlxe_status tools_check(const char *where, yyjson_val *list, cli_text *out, mlxe_error *err);

/* One call, copied out of an event. */
typedef struct tool_call {
    char *id, *name, *arguments;
} tool_call;

typedef struct tool_calls {
    tool_call *v;
    size_t n;
} tool_calls;
void tool_calls_add(tool_calls *calls, const mlxe_tool_call *call);
void tool_calls_clear(tool_calls *calls);
/* Calls as OpenAI writes them in a message, so that an answer can be sent back as it is. */
yyjson_mut_val *tool_calls_json(yyjson_mut_doc *doc, const mlxe_tool_call *calls, size_t n);

/* The bounds of running tools. */
typedef struct tool_limits {
    int rounds;          /* answers in a row that call tools */
    int seconds;         /* a call */
    size_t output_bytes; /* of a call: what is beyond is cut, and said */
} tool_limits;

/* The tools of a file that are commands. */
typedef struct tool_runner {
    yyjson_doc *doc;
    tool_limits limits;
} tool_runner;
/* Reads "command" members: a program, or a list of a program and its arguments.
 * Fails INPUT (malformed, or no tool has one) */
mlxe_status tool_runner_open(const char *path, const tool_limits *limits, tool_runner *out,
                             mlxe_error *err);
void tool_runner_close(tool_runner *runner);

/* Answers what the conversation asks for, and as long as the answer calls tools that are commands
 * (and rounds are left): runs them, tells the session their output, answers again.
 * request->prompt is asked first. Fails as gen_start and gen_stream */
mlxe_status tool_answer(tool_runner *runner, mlxe_session *session, const gen_request *request,
                        gen_sink *sink, mlxe_error *err);

#endif
