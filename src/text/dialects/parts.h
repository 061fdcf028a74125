/* parts.h: what the dialect files are made of: blocks, the ends of their bodies, and readers for
 * the notations in which arguments are written (JSON, Python calls, XML-like parameters). */
#ifndef DIALECTS_PARTS_H
#define DIALECTS_PARTS_H

#include "text/dialect.h"

/* ---- a dialect ------------------------------------------------------------------------------- */

enum { DIALECT_MARKERS = 4, DIALECT_SETS = 5, DIALECT_BLOCKS = 12 };

/* Texts that all have to be in the template's source. One that begins with '!' must not be there,
 * one that begins with '@' is looked for among the tokens too. */
typedef struct dialect_marker {
    const char *all[DIALECT_MARKERS];
} dialect_marker;

typedef enum block_kind {
    BLOCK_CALL = 1,
    BLOCK_REASONING,
    BLOCK_DROP,  /* the opening alone is markup */
    BLOCK_HEADER /* says which block comes next */
} block_kind;

enum {
    BLOCK_AT_START = 1, /* opens only where nothing but white space and calls came before */
    BLOCK_IF_SEEN = 2,  /* counts only where the template has its markers */
    BLOCK_HIDDEN = 4,   /* does not open by itself: a header leads to it */
    BLOCK_ALSO = 8      /* REASONING: counts wherever another of the dialect does */
};

/* How far a block's body was looked at. Zeroed when the block opens; each scanner has its use. */
typedef struct block_scan {
    size_t at;    /* bytes of the body that were looked at */
    size_t body;  /* length of the body without what closes it, once the end is known */
    size_t value; /* where the JSON value begins */
    int phase, depth, in_string, escaped;
} block_scan;

enum { SCAN_MORE = -1, SCAN_NO_CALL = -2 };

struct call_list;
typedef struct dialect_block {
    block_kind kind;
    unsigned flags;
    const char *open;  /* HIDDEN: NULL */
    const char *close; /* NULL: none */
    const char *force; /* REASONING: what ends it when its budget is used up */
    /* Where the body ends: bytes of `raw` (all after open) up to behind the close; SCAN_MORE: not
     * known yet; SCAN_NO_CALL: this cannot become a call. last: no more will come. */
    ptrdiff_t (*end)(const struct dialect_block *b, strv raw, int last, block_scan *s);
    /* CALL: reads the calls of a body, or says why not. */
    void (*read)(struct call_list *calls, strv body);
    /* HEADER: index of the next block, or -1: text. Notes the recipient in calls->header. */
    int (*enter)(struct call_list *calls, strv body);
} dialect_block;

struct dialect {
    const char *name;
    int priority;        /* of several whose markers are there the highest wins */
    const char *between; /* bytes that part two calls, beside white space; NULL: none */
    dialect_marker sets[DIALECT_SETS];
    dialect_block blocks[DIALECT_BLOCKS];
};

/* Where a block with text between open and close ends. */
ptrdiff_t scan_close(const dialect_block *b, strv raw, int last, block_scan *s);
/* The same, or the end of the answer: for bodies that show themselves that they are whole. */
ptrdiff_t scan_close_or_rest(const dialect_block *b, strv raw, int last, block_scan *s);
/* The close, and one of the texts `behind` where white space and it follow. */
ptrdiff_t scan_close_and(const dialect_block *b, strv raw, int last, block_scan *s,
                         const char *const *behind);
/* A JSON value, then white space and the close, which may be missing. */
ptrdiff_t scan_json(const dialect_block *b, strv raw, int last, block_scan *s);
/* The same; other text may stand before the value. */
ptrdiff_t scan_later_json(const dialect_block *b, strv raw, int last, block_scan *s);
/* The JSON value that begins at s->value, from where the last call stopped. -> as block.end */
ptrdiff_t scan_value(strv raw, int last, block_scan *s);
/* All that is left of the answer. */
ptrdiff_t scan_rest(const dialect_block *b, strv raw, int last, block_scan *s);

/* ---- the calls of a body --------------------------------------------------------------------- */

typedef struct call_row {
    strv name, id, arguments;
    const char *end;    /* of the part of the body that it was read from; NULL: the whole body */
    const char *reason; /* not NULL: the part is no call, and text */
} call_row;

/* Rows point into the body or into `memory`, which never moves once a row points there: texts are
 * made in `scratch`, then kept. */
typedef struct call_list {
    call_row *rows;
    size_t n, cap;
    size_t n_parted; /* rows whose parts of the body are settled */
    const json *tools;
    const json *parameters; /* of the tool that was looked up last */
    buf scratch;
    char **kept;
    size_t n_kept;
    buf header;       /* what a header said: the recipient */
    char reason[200]; /* not "": the body is no call */
    int failed;       /* out of memory */
} call_list;

void calls_clear(call_list *c);
void calls_deinit(call_list *c);
void calls_add(call_list *c, strv name, strv id, strv arguments);
/* The part of the body that ends here is read: what was added since the last one, or refused, is of
 * it alone. For bodies that hold several calls: one that cannot be read takes no other with it. */
void calls_part(call_list *c, const char *end);
/* Records why the body, or the part of it that is read, is no call. */
void calls_refuse(call_list *c, const char *fmt, ...) BASE_PRINTF(2, 3);
static inline int calls_ok(const call_list *c) { return !c->reason[0] && !c->failed; }
/* The scratch text, kept until the list is cleared; scratch is empty afterwards. */
strv calls_keep(call_list *c);
/* Adds a call whose arguments are a JSON text: an object, or a string that holds one; empty: {}. */
void calls_add_json(call_list *c, strv name, strv id, strv arguments);

/* {"name": .., "arguments": {..}} in the spellings that models use; one, or an array of them. */
void read_json_calls(call_list *c, strv body);
/* f(a=1, b="x"), in brackets or not, parted by commas or line ends. */
void read_python_calls(call_list *c, strv body);

/* ---- pieces of text -------------------------------------------------------------------------- */

int text_space(char c);
strv text_trim(strv s);
size_t text_find(strv s, const char *what, size_t from); /* SIZE_MAX: not there */
/* The text between two marks from *at on; *at moves behind the second. 0: not there. */
int text_between(strv s, const char *open, const char *close, size_t *at, strv *out);
strv text_inner(strv s);   /* without one line end before and one behind */
strv text_unfence(strv s); /* without ```json and ``` around */

/* End of the JSON value at `at` (white space before it skipped), or SIZE_MAX. */
size_t span_value(strv s, size_t at);
/* The raw value of an object's last member of that name, {NULL,0}: absent. */
strv span_member(strv object, const char *name);
/* A JSON string as text, into c's memory; {NULL,0}: it is none. */
strv span_text(call_list *c, strv value);

/* ---- what the tools declare (dialect_schema.c) ----------------------------------------------- */

int tool_declared(const call_list *c, strv tool);
/* The schema of a tool's parameters; NULL: not said. What is asked of schemas then is of these. */
const json *tool_parameters(call_list *c, strv tool);
/* The schema of one of them; NULL: not said. */
const json *parameter_schema(call_list *c, strv tool, strv key);
/* What a schema that is {"$ref": ..} stands for; else itself. */
const json *schema_resolved(const call_list *c, const json *schema);
/* 1: a text is one of the values that a parameter may have, or nothing is said of it. */
int schema_takes_text(const call_list *c, const json *schema);
/* A schema's type, "null" left out of several; {NULL,0}: not said. */
strv schema_type(const json *schema);
/* Appends a text to scratch as a schema wants it: as JSON where it wants something else than a
 * text and it is that, else as a string. schema NULL: nothing is said. */
void schema_add_text(call_list *c, const json *schema, strv text);
/* Appends "key": value to an object in the making (scratch begins with '{'), as the tool's schema
 * wants it. */
void object_add_text(call_list *c, strv tool, strv key, strv text);

#define BLOCK_THINK                                                                                \
    {                                                                                              \
        .kind = BLOCK_REASONING, .flags = BLOCK_IF_SEEN, .open = "<think>", .close = "</think>",   \
        .force = "\n</think>\n\n"                                                                  \
    }

#endif
