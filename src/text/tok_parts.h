/* tok_parts.h: what the files of the tokenizer share (src/text/tok_*.c, src/text/tokenizers/).
 *
 *   tok_text    one text on its way through the pipeline, with the way back to its own bytes
 *   tok_vocab   strings and ids of a model
 *   tok_kind    a model kind: bpe, unigram, wordpiece, wordlevel
 *   tok_regex   a pattern with Oniguruma's meaning
 *   tok_stage   a decoder, as a transducer over token strings
 *
 * Everything reachable from a tok is immutable after open; what an encode needs to write on lives
 * in its tok_work. */
#ifndef TEXT_TOK_PARTS_H
#define TEXT_TOK_PARTS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "text/tok.h"

/* ---- where an error is: "tokenizer.json: pre_tokenizer[1]" ----------------------------------- */

typedef struct tok_reader {
    arena *mem;
    const char *where; /* the path so far */
    mlxe_error *err;
} tok_reader;

/* A reader one step deeper; the path is copied into the arena. */
tok_reader tok_reader_at(const tok_reader *r, const char *key);
tok_reader tok_reader_index(const tok_reader *r, size_t index);
mlxe_status tok_corrupt(const tok_reader *r, const char *what);
mlxe_status tok_no_memory(const tok_reader *r);
/* Like json_get_*, but absent is an error too. */
mlxe_status tok_need_str(const tok_reader *r, const json *v, const char *key, strv *out);
mlxe_status tok_need_bool(const tok_reader *r, const json *v, const char *key, int *out);
mlxe_status tok_need_int(const tok_reader *r, const json *v, const char *key, int64_t low,
                         int64_t high, int64_t *out);
mlxe_status tok_need_char(const tok_reader *r, const json *v, const char *key, uint32_t *out);
/* The kind that a part names by "type". Old files leave it out: then, and where it is no string,
 * the first key of shapes that the part has tells its kind. shapes: NULL: none, else it ends with
 * a NULL key */
typedef struct tok_shape {
    const char *key, *type;
} tok_shape;
mlxe_status tok_need_type(const tok_reader *r, const json *v, const tok_shape *shapes, strv *out);
/* The string, copied into the arena. */
mlxe_status tok_keep(const tok_reader *r, strv *text);

/* ---- UTF-8 (texts are validated once, when they come in) ------------------------------------- */

/* Bytes of the character that starts with lead. */
static inline size_t utf8_width(unsigned char lead)
{
    return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}
static inline int utf8_is_start(char c) { return ((unsigned char)c & 0xC0) != 0x80; }
uint32_t utf8_at(const char *p, size_t *width);                 /* of valid UTF-8 */
uint32_t utf8_before(const char *p, size_t end, size_t *width); /* the character that ends there */
size_t utf8_put(char *p, uint32_t cp);
size_t utf8_count(strv text);
int utf8_valid(strv text);

/* ---- Unicode as the tokenizers package sees it (tok_unicode.c) ------------------------------- */

int uni_space(uint32_t cp);                  /* White_Space */
int uni_numeric(uint32_t cp);                /* Nd, Nl, No */
int uni_word(uint32_t cp);                   /* \w of the Rust regex crate */
int uni_punct(uint32_t cp);                  /* ASCII punctuation, or P by an older table */
int uni_other(uint32_t cp);                  /* C by an older table */
int uni_nonspacing(uint32_t cp);             /* Mn by an older table */
int uni_combining(uint32_t cp);              /* M by an older table */
int uni_script(uint32_t cp);                 /* a number a script; 0 is "any" */
int uni_lower(uint32_t cp, uint32_t out[3]); /* -> how many */
int uni_segment_break(strv text, size_t at); /* an extended grapheme cluster ends at this byte */
int uni_ccc(uint32_t cp);                    /* combining class, Unicode 9 */
enum { UNI_DECOMPOSED = 20 };
int uni_decompose(uint32_t cp, int compatible, uint32_t out[UNI_DECOMPOSED]);
uint32_t uni_compose(uint32_t a, uint32_t b); /* 0: they do not compose */
/* Sets that Oniguruma and PCRE2 see differently: name is a property in lower case without ' ', '-'
 * and '_'. Ranges are pairs, first and last. -> 0 when there is none of that name. */
typedef struct uni_property {
    const char *name, *pcre;
    const uint32_t (*add)[2], (*drop)[2];
    unsigned n_add, n_drop;
} uni_property;
const uni_property *uni_property_find(strv name);

/* ---- the text on its way (tok_text.c) -------------------------------------------------------- */

typedef struct tok_span {
    uint32_t b, e; /* bytes of the original text */
} tok_span;

/* A run of the text: still text, or already a token (id >= 0). */
typedef struct tok_piece {
    size_t b, e;   /* text: bytes of tok_text.p */
    tok_span from; /* token: its bytes of the original. text: .b is where its original begins */
    int32_t id;    /* -1: text */
    uint32_t lead, trail; /* token: characters of white space at its ends */
} tok_piece;

typedef struct tok_text {
    strv original;
    const char *p; /* the text now; original.p until something changed it */
    size_t n;
    const byte_range *content; /* of the original: control tokens that touch it are none */
    size_t n_content, content_base;
    tok_span *at; /* a byte of p -> its character in the original; NULL: p is the original */
    tok_piece *pieces;
    size_t n_pieces;
    /* the pass that is being written */
    char *own[2];
    tok_span *own_at[2];
    size_t own_cap[2];
    int writing; /* which of own */
    size_t n_new;
    tok_piece *next;
    size_t n_next, cap_pieces, cap_next;
    int failed; /* no memory: sticky */
} tok_text;

enum { TOK_TEXT_MAX = 0x7FFFFFF0 }; /* bytes */

void tt_init(tok_text *t, strv original);
void tt_deinit(tok_text *t);
static inline strv tt_str(const tok_text *t, const tok_piece *piece)
{
    return strv_from(t->p + piece->b, piece->e - piece->b);
}
/* Where byte i of the text comes from. */
tok_span tt_at(const tok_text *t, size_t i);
/* What the token that covers [b, e) of the piece (relative bytes) reports. */
tok_span tt_origin(const tok_text *t, const tok_piece *piece, size_t b, size_t e);

/* Rewriting: begin a pass; then for every text piece, in order, open it, write it, close it; then
 * end. Pieces that are tokens are left alone. */
void tt_pass_begin(tok_text *t);
void tt_pass_end(tok_text *t);
typedef struct tok_rewrite {
    tok_text *t;
    tok_piece *piece;
    size_t base, at, end; /* bytes of the old text: the piece's begin, next to read, end */
    size_t start;         /* of the new text */
} tok_rewrite;
tok_rewrite tt_open(tok_text *t, tok_piece *piece);
void tt_close(tok_rewrite *w);
void tt_skip(tok_rewrite *w, size_t characters); /* drops the next characters of the old text */
/* One character of the new text. change 0: it stands for the next old character; n > 0: it is new
 * and shares the origin of what lies before; n < 0: it stands for the next, and -n more vanish. */
void tt_put(tok_rewrite *w, uint32_t cp, long change);
void tt_put_str(tok_rewrite *w, strv text, long first_change); /* the others are new */
void tt_copy(tok_rewrite *w, size_t bytes);                    /* the next old bytes as they are */

/* Splitting: next is the new list of pieces; ranges are bytes of p. Empty ones are dropped. */
void tt_split_begin(tok_text *t);
void tt_keep(tok_text *t, const tok_piece *piece);
void tt_cut(tok_text *t, size_t b, size_t e);
void tt_cut_token(tok_text *t, const tok_piece *from, size_t b, size_t e, int32_t id);
void tt_split_end(tok_text *t);
/* White space (and U+0120) at the ends of a token's text, in characters. */
void tok_trim_counts(strv text, uint32_t *lead, uint32_t *trail);

/* ---- matches and splits by them -------------------------------------------------------------- */

typedef struct tok_match {
    size_t b, e; /* relative to the piece */
    int hit;
} tok_match;
typedef struct tok_matches {
    tok_match *m;
    size_t n, cap;
    int failed;
} tok_matches;
void tok_matches_add(tok_matches *m, size_t b, size_t e, int hit);

typedef enum tok_behavior {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_PREVIOUS,
    SPLIT_NEXT,
    SPLIT_CONTIGUOUS
} tok_behavior;
void tt_cut_matches(tok_text *t, const tok_piece *from, tok_matches *m, tok_behavior behavior);

/* ---- what one encode or decode writes on ----------------------------------------------------- */

typedef struct tok_out {
    int32_t id, type_id;
    uint32_t b, e;        /* bytes of the original */
    uint32_t lead, trail; /* white space at the ends, when `own` */
    uint8_t own;          /* 0: lead and trail are those of the id's string */
    uint8_t side;         /* 0: of the text, 1: of the pair */
    uint8_t added;        /* 1: by the post-processor or the padding */
} tok_out;
typedef struct tok_outs {
    tok_out *v;
    size_t n, cap;
    int failed;
} tok_outs;
tok_out *tok_outs_add(tok_outs *o, size_t n); /* room for n more, counted; NULL: no memory */
void tok_outs_deinit(tok_outs *o);

typedef struct tok_match_state tok_match_state; /* PCRE2's, made on first use (tok_regex.c) */
typedef struct tok_work {
    tok_text text;
    tok_matches matches;
    tok_match_state *match;
    uint32_t *code_points; /* normalizers and models: scratch */
    long *changes;
    size_t n_points, cap_points;
    void *scratch; /* the model's */
    size_t scratch_bytes;
    void *cache; /* the model's, for the length of one encode */
    void (*cache_free)(void *cache);
    const uint8_t *banned; /* by id: the model may not give it (TOK_PLAIN_SPECIAL); NULL: any */
    buf word;
} tok_work;
void tok_work_deinit(tok_work *w);
/* Appends to code_points and changes; 0: no memory. */
int tok_work_point(tok_work *w, uint32_t cp, long change);
int tok_work_points_room(tok_work *w, size_t n); /* n in all */
/* At least so many bytes, contents not kept; NULL: no memory. */
void *tok_work_scratch(tok_work *w, size_t bytes);
/* Whether a model may give id: it is one, and not banned. */
static inline int tok_may_give(const tok_work *w, int32_t id)
{
    return id >= 0 && (!w->banned || !w->banned[id]);
}

/* ---- regular expressions (tok_regex.c, tok_regex_translate.c) -------------------------------- */

typedef struct tok_regex tok_regex;
/* Fails UNSUPPORTED (a construct that PCRE2 cannot express as Oniguruma means it), CORRUPT */
enum { REGEX_ANY, REGEX_LITERAL, REGEX_COMPILED /* without a scanner, for tests */ };
mlxe_status tok_regex_open(const tok_reader *r, strv pattern, int how, tok_regex **out);
/* 1: a hand-written scanner does it */
int tok_regex_is_scanned(const tok_regex *re);
void tok_regex_close(tok_regex *re);
/* All matches in text, and what lies between them. Fails LIMIT, MEMORY */
mlxe_status tok_regex_find(const tok_regex *re, strv text, tok_match_state **state,
                           tok_matches *out, mlxe_error *err);
void tok_match_state_close(tok_match_state *state);
/* The pattern as PCRE2 writes it. problem: why not. -> 0, or -1 */
int tok_regex_translate(strv pattern, buf *out, const char **problem);

/* ---- vocabulary (tok_vocab.c) ---------------------------------------------------------------- */

typedef struct tok_entry {
    strv text;
    uint64_t head; /* up to 8 bytes of text: most strings are compared without a look at them */
    int32_t id;
} tok_entry;
typedef struct tok_vocab {
    tok_entry *entries;
    size_t n;
    struct tok_slot {
        uint32_t hash, index; /* index + 1; 0: free */
    } * slots;
    uint32_t mask;
    uint32_t *by_id; /* index + 1 of the entry; dense when ids are, else sorted by id */
    size_t n_ids;
    int dense;
    int32_t max_id; /* -1: empty */
} tok_vocab;
/* Makes room; strings are borrowed. */
mlxe_status tok_vocab_init(const tok_reader *r, tok_vocab *v, size_t n);
void tok_vocab_add(tok_vocab *v, strv text, int32_t id); /* the last of equal strings wins */
/* Entries whose text and id were set: the last of equal strings is found, all have their id. */
void tok_vocab_fill(tok_vocab *v, size_t n);
mlxe_status tok_vocab_finish(const tok_reader *r, tok_vocab *v);
void tok_vocab_deinit(tok_vocab *v);
int32_t tok_vocab_id(const tok_vocab *v, strv text); /* -1: absent */
/* The ids of many strings at once: faster when the table is large. */
void tok_vocab_ids(const tok_vocab *v, const strv *texts, size_t n, int32_t *ids);
const tok_entry *tok_vocab_entry(const tok_vocab *v, int32_t id); /* NULL: absent */
/* Reads {"string": id, ...}. */
/* Reads {"string": id}; a vocabulary that is there already stays, if the object is empty. */
mlxe_status tok_vocab_read(const tok_reader *r, const json *v, tok_vocab *out);

/* ---- model kinds (tokenizers/) --------------------------------------------------------------- */

struct tok_model;
typedef struct tok_kind {
    const char *name; /* model.type */
    /* v: vocabulary and merges; options: where all else is read, often v too */
    mlxe_status (*open)(const tok_reader *r, const json *v, const json *options,
                        struct tok_model *m);
    void (*close)(struct tok_model *m);
    /* Appends the tokens of a piece: b, e are relative to it. Fails CORRUPT (no unknown token) */
    mlxe_status (*run)(const struct tok_model *m, tok_work *w, strv piece, tok_outs *out,
                       mlxe_error *err);
} tok_kind;
typedef struct tok_model {
    const tok_kind *kind;
    tok_vocab vocab;
    int32_t unk; /* the unknown token; -1: none */
    void *own;
} tok_model;
extern const tok_kind tok_kind_bpe, tok_kind_unigram, tok_kind_wordpiece, tok_kind_wordlevel;

/* ---- normalizers (tok_normalize.c), pre-tokenizers (tok_split.c) ----------------------------- */

/* One step of a normalizer or pre-tokenizer with its options; which it uses, its kind says. */
typedef struct tok_step {
    const struct tok_step_kind *kind;
    tok_regex *regex;
    strv text;
    uint32_t cp;
    int64_t length;
    int behavior, invert, prefix, left, right;
    struct tok_charsmap *map;
} tok_step;
typedef struct tok_steps {
    tok_step *v; /* in the arena; Sequence is laid flat */
    size_t n, cap;
} tok_steps;
tok_step *tok_steps_add(const tok_reader *r, tok_steps *steps); /* zeroed; NULL: no memory */
/* {"String": ..} or {"Regex": ..} */
mlxe_status tok_pattern_read(const tok_reader *r, const json *v, tok_regex **out);
mlxe_status tok_normalizer_read(const tok_reader *r, const json *v, tok_steps *out);
void tok_normalizer_close(tok_steps *steps);
mlxe_status tok_normalize(const tok_steps *steps, tok_work *w, mlxe_error *err);
mlxe_status tok_splitter_read(const tok_reader *r, const json *v, tok_steps *out);
void tok_splitter_close(tok_steps *steps);
mlxe_status tok_split(const tok_steps *steps, tok_work *w, mlxe_error *err);
/* A byte as ByteLevel writes it, and back (-1: none). */
uint32_t tok_byte_char(unsigned char byte);
int tok_char_byte(uint32_t cp);
/* Decodes base64 (padding optional) and appends it. -> 0, or -1 (tok_files.c) */
int tok_base64(strv text, buf *out);
/* Normalizer "Precompiled" (tok_charsmap.c) */
typedef struct tok_charsmap tok_charsmap;
mlxe_status tok_charsmap_read(const tok_reader *r, const json *v, tok_charsmap **out);
void tok_charsmap_run(const tok_charsmap *map, tok_work *w, tok_rewrite *rw);

/* ---- added tokens (tok_added.c) -------------------------------------------------------------- */

typedef struct tok_added_token {
    strv content, shown; /* shown: what decoding gives (normalized content) */
    int32_t id;
    int single_word, lstrip, rstrip, normalized, special;
    int control; /* TOK_PLAIN_SPECIAL does not find it */
} tok_added_token;
typedef struct tok_needles tok_needles;
typedef struct tok_added {
    tok_added_token *v;
    size_t n;
    tok_vocab by_content; /* ids */
    tok_vocab special;    /* contents that are special */
    uint32_t *by_id;      /* indices, sorted by id */
    size_t n_by_id;
    tok_needles *raw, *normalized; /* NULL: none */
    uint8_t *banned;   /* by the model's ids: a control token; NULL: the model has none */
    int split_special; /* special tokens are not looked for in a text */
} tok_added;
/* more: a list that is added behind it, or NULL. */
mlxe_status tok_added_read(const tok_reader *r, const json *v, const json *more,
                           const tok_model *model, const tok_steps *normalizer, tok_added *out);
void tok_added_close(tok_added *a);
const tok_added_token *tok_added_find(const tok_added *a, int32_t id);
int tok_added_is_special(const tok_added *a, strv text);
/* Cuts the added tokens of one pass out of the text pieces. */
void tok_added_cut(const tok_added *a, const tok_needles *needles, int plain_special, tok_text *t);

/* ---- post-processor, truncation, padding (tok_post.c) ---------------------------------------- */

typedef struct tok_post tok_post;
typedef struct tok_limits {
    int truncate, pad;
    int64_t max_length, stride, pad_fixed /* -1: the longest */, pad_multiple;
    int strategy, left, pad_left; /* strategy: 0 longest first, 1 only first, 2 only second */
    int32_t pad_id, pad_type_id;
} tok_limits;
mlxe_status tok_limits_read(const tok_reader *r, const json *root, tok_limits *out);
mlxe_status tok_post_read(const tok_reader *r, const json *v, tok_post **out);
/* The tokens of a text and, with n 2, of its pair -> one list. Consumes what sides hold. */
typedef struct tok_side {
    tok_outs tokens;
    strv text;
    const byte_range *content; /* tok_encode_content */
    size_t n_content, content_base;
} tok_side;
mlxe_status tok_post_run(const tok *t, tok_side *sides, int n, unsigned flags, tok_outs *out,
                         int *truncated, mlxe_error *err);

/* ---- decoders (tok_decode.c) ----------------------------------------------------------------- */

typedef struct tok_decoder tok_decoder; /* a row of stages; NULL: tokens are joined by a space */
mlxe_status tok_decoder_read(const tok_reader *r, const json *v, tok_decoder **out);
void tok_decoder_close(tok_decoder *d);

struct tok {
    arena mem;
    json_doc *doc;              /* strings of the vocabulary lie in it */
    arena strings;              /* or in this */
    json_doc *over, *over_post; /* what the folder's settings put for it; NULL: nothing */
    char *where;
    tok_model model;
    tok_steps normalizer, splitter;
    tok_added added;
    tok_post *post;
    tok_decoder *decoder;
    tok_limits limits;
};
/* Opens a text whose model says "vocab":{} with a vocabulary that is there already. Takes it and
 * the memory of its strings, on failure too. Fails as tok_open */
mlxe_status tok_open_made(const char *where, strv text, tok_vocab *vocab, arena *strings, tok **out,
                          mlxe_error *err);
/* The string of an id as decoding sees it; p NULL: none. */
strv tok_string(const tok *t, int32_t id);

#endif
