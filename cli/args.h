/* args.h: one table of options feeds the command line, --help, and the keys of JSON lines. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include "cli.h"

#include <yyjson.h>

typedef enum cli_type {
    CLI_FLAG,   /* no argument; JSON: true, false */
    CLI_INT,    /* low <= i <= high */
    CLI_SEED,   /* 0 .. 2^64 - 1 */
    CLI_NUMBER, /* low <= f <= high */
    CLI_ABOVE,  /* low < f <= high */
    CLI_TEXT,
    CLI_TEXTS,  /* repeatable; JSON: a string or a list of strings */
    CLI_CHOICE, /* one of the words of `argument`, parted by '|' */
    CLI_BIAS,   /* ID:BIAS,ID:BIAS,...; JSON: that string or {"ID":BIAS} */
    CLI_ARRAY,  /* command line: a file; JSON: an array, kept as text */
    CLI_ABSENT  /* known, but the feature that `help` names is not built */
} cli_type;

struct cli_option {
    const char *name; /* long, without the dashes */
    char letter;      /* short, or 0 */
    cli_type type;
    double low, high;
    const char *argument; /* for the help; NULL: none */
    const char *help;
};

struct cli_value {
    int set;
    int64_t i;     /* FLAG, INT */
    uint64_t u;    /* SEED */
    double f;      /* NUMBER, ABOVE */
    const char *s; /* TEXT, CHOICE, ARRAY; borrowed */
    const char **list;
    mlxe_logit_bias *bias;
    size_t n; /* of list, of bias, bytes of s */
};

/* Parses argv[1..]; prints what is wrong. -> 0, or the exit status to end with, less 1000 when
 * the call is complete already (help was asked for). */
enum { ARGS_HELP = -1 };
int args_parse(cli_call *call, int argc, char **argv);
void args_deinit(cli_call *call);

/* One value from a word of the command line. Fails ARG; the message begins with the option. */
mlxe_status args_value_text(const cli_option *option, const char *text, cli_value *out,
                            mlxe_error *err);
/* One value from a member of a JSON line; where: "line 3". Replaces what out held.
 * Fails ARG, UNSUPPORTED */
mlxe_status args_value_json(const cli_option *option, const char *where, yyjson_val *value,
                            cli_value *out, mlxe_error *err);
void args_value_deinit(cli_value *value);

/* The options that every verb takes, for the help. */
extern const cli_option ARGS_COMMON[];
extern const size_t ARGS_COMMON_COUNT;

/* "a number from 0 to 1" */
void args_wanted(const cli_option *option, char *out, size_t capacity);

#endif
