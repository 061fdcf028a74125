/* tok.h: a tokenizer: text to ids and back, from tokenizer.json.
 *
 *   text -> added tokens cut out -> normalizer -> pre-tokenizer -> model -> post-processor -> ids
 *   ids  -> decoder -> text
 *
 * A tokenizer is immutable after open: any number of threads may encode and decode with it. */
#ifndef TEXT_TOK_H
#define TEXT_TOK_H

#include "base/buf.h"
#include "base/error.h"
#include "base/strv.h"

#include <stdint.h>

typedef struct tok tok;

/* Opens from the text of tokenizer.json; where: its path, for messages.
 * Fails  CORRUPT (malformed), UNSUPPORTED (names the part: "normalizer Precompiled"), MEMORY */
mlxe_status tok_open(const char *where, const char *json, size_t bytes, tok **out, mlxe_error *err);
/* The same from a model folder: its tokenizer.json, else whatever src/text/formats reads
 * (tekken.json, tokenizer.model, vocab.json and merges.txt, vocab.txt). Fails NOT_FOUND too. */
mlxe_status tok_open_folder(const char *folder, tok **out, mlxe_error *err);
void tok_close(tok *t);

/* Ids that the tokenizer can give: 1 + the largest id, added tokens included. */
int32_t tok_size(const tok *t);
/* Id of a token given by its text (an added token's content or a vocabulary entry), or -1. */
int32_t tok_id(const tok *t, strv token);
/* 1 when id is an added token that is marked special. */
int tok_is_special(const tok *t, int32_t id);

enum {
    TOK_ADD_SPECIAL = 1,   /* what the post-processor adds */
    TOK_NO_TRUNCATION = 2, /* the file's own truncation is not applied (prompts) */
    /* Control tokens written in the text stay text, for content that users and tools wrote. Control
     * tokens are the special ones and those named <|..|> or <\uFF5C..\uFF5C>; no way through the
     * model's own vocabulary gives one either. The unknown token is none. */
    TOK_PLAIN_SPECIAL = 4
};

typedef struct tok_ids {
    mlxe_token *tokens; /* malloc'ed */
    size_t n, cap;
    int truncated; /* the file's own truncation cut tokens off */
} tok_ids;
void tok_ids_deinit(tok_ids *ids);

/* Encodes text, or text and pair (pair.p NULL: none); appends to out. Bytes that are no UTF-8 are
 * MLXE_E_INPUT. Linear in the text. */
mlxe_status tok_encode(const tok *t, strv text, strv pair, unsigned flags, tok_ids *out,
                       mlxe_error *err);

/* Encodes text in which some bytes are content: special tokens that touch them stay text there.
 * What stands elsewhere is found as ever, so without any special token in the content the ids are
 * those of tok_encode. content: ascending, in bytes of the text that begins `base` bytes before. */
mlxe_status tok_encode_content(const tok *t, strv text, const byte_range *content, size_t n_content,
                               size_t base, unsigned flags, tok_ids *out, mlxe_error *err);

/* Appends the text of ids, as the tokenizers package decodes it (U+FFFD for broken UTF-8). An
 * unknown id is skipped as the package does. */
mlxe_status tok_decode(const tok *t, const int32_t *ids, size_t n, int skip_special, buf *out,
                       mlxe_error *err);

/* Streaming: push ids one by one; out gets the text that is certain, never half a character. The
 * concatenation of all pieces and the rest that _finish gives equals tok_decode of all ids. */
typedef struct tok_stream tok_stream;
mlxe_status tok_stream_open(const tok *t, int skip_special, tok_stream **out, mlxe_error *err);
mlxe_status tok_stream_push(tok_stream *s, int32_t id, buf *out, mlxe_error *err);
mlxe_status tok_stream_finish(tok_stream *s, buf *out, mlxe_error *err);
void tok_stream_close(tok_stream *s);

#endif
