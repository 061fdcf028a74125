/* editor.h: one line of input on a terminal, edited, with history. */
#ifndef CLI_EDITOR_H
#define CLI_EDITOR_H

#include "cli.h"

typedef struct editor editor;

typedef enum editor_result {
    EDITOR_LINE,        /* a message, without its last newline; pasted ones are inside */
    EDITOR_END,         /* Ctrl-D, or the terminal is gone */
    EDITOR_INTERRUPTED, /* Ctrl-C; what was typed is dropped */
} editor_result;

/* Sets LC_CTYPE to a UTF-8 locale, loads the history. NULL: the terminal cannot be used. */
editor *editor_open(void);
void editor_close(editor *e);
/* Shows the prompt and reads a message. typed: 1 when Ctrl-C dropped a text */
editor_result editor_read(editor *e, cli_text *out, int *typed);
/* While an answer is written, typed characters are not echoed into it. */
void editor_echo_off(editor *e);
void editor_echo_on(editor *e);

#endif
