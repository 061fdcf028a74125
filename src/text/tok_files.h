/* tok_files.h: tokenizers that are kept in other files than tokenizer.json.
 *
 *   folder --tok_files_open--> settings --a format's write--> tokenizer.json's text --> tok_open
 *
 * A format (src/text/formats/NAME.c) writes what tokenizer.json would say. What all share is here:
 * tokenizer_config.json, the older special_tokens_map.json and added_tokens.json, and the
 * writing of the parts that depend on them. */
#ifndef TEXT_TOK_FILES_H
#define TEXT_TOK_FILES_H

#include "text/tok_parts.h"

/* Tokens with a role, in transformers' order. */
enum { ROLE_BOS, ROLE_EOS, ROLE_UNK, ROLE_SEP, ROLE_PAD, ROLE_CLS, ROLE_MASK, ROLES };

/* What a tokenizer class of transformers adds by itself, and what it asks the settings for. */
typedef struct tok_class {
    const char *names;        /* "LlamaTokenizer CodeLlamaTokenizer" */
    const char *roles[ROLES]; /* its own tokens by role */
    /* Letters, of a mask token that is a plain text: l takes white space before it, n normalized,
     * r not normalized, s special */
    const char *mask;
    int objects;      /* it makes an AddedToken of a role that is a plain text */
    int own_first;    /* the format's own tokens are there before the settings' are added */
    int own_list;     /* OWN_LIST_..: how they go with the settings' list */
    int null_is_none; /* a list that is null is one that the settings do not give */
    int readds;       /* READDS_..: it adds its special tokens once more */
    int own_post;     /* OWN_POST_..: it makes its own post-processor beside a tokenizer.json */
    const char *const (*names_of)[2]; /* more tokens of its own: key, text */
    size_t n_names;
    int beside_only; /* it is known beside a tokenizer.json alone */
} tok_class;
enum {
    OWN_LIST_NOT,
    OWN_LIST /* instead of none */,
    OWN_LIST_BEHIND,
    OWN_LIST_OLDER /* instead of none, behind the list of the older name */
};
enum { OWN_POST_NOT, OWN_POST, OWN_POST_OF_ANOTHER /* if the file has one */ };
enum { READDS_NOT, READDS_TOKENS, READDS_TEXTS /* without what was said of them */ };

enum { TOK_WORDS = 4 };

typedef struct tok_files {
    const char *folder;
    arena mem;
    buf path;            /* of the vocabulary: what messages name */
    const json *config;  /* tokenizer_config.json; NULL: none */
    const json *special; /* special_tokens_map.json, when it counts */
    const json *added;   /* added_tokens.json, when it counts */
    json_doc *docs[4];
    int has_settings;    /* one of these files, or config.json, is there */
    int beside;          /* a tokenizer.json is there */
    strv kind;           /* the class that transformers takes, without "Fast"; p NULL: not known */
    tok_vocab vocab;     /* the format's strings and ids; strings in mem */
    int32_t size;        /* entries of the model: the first id of a token that it lacks */
    int vocab_is_models; /* the text says "vocab":{} and the model takes this one */
    strv roles[ROLES];   /* tokens by role; p NULL: none. Set by tok_files_tokens */
    int32_t role_ids[ROLES];
    strv pad;      /* the padding of tokenizer.json; p NULL: none */
    strv pad_side; /* padding_side, else of that padding: Left */
    strv language; /* the token of the language that texts are in; p NULL: none */
    int32_t language_id;
    strv words[TOK_WORDS]; /* more tokens that a template names: '1' is the first */
    int32_t word_ids[TOK_WORDS];
} tok_files;

/* Reads the settings of a folder. Fails CORRUPT, IO, MEMORY */
mlxe_status tok_files_open(const char *folder, tok_files *out, mlxe_error *err);
void tok_files_close(tok_files *f);
/* Whether the folder has a file of that name; then path is set. */
int tok_files_has(tok_files *f, const char *name);
/* Reads the file at path. Fails as fs_read */
mlxe_status tok_files_read(const tok_files *f, buf *out, mlxe_error *err);
/* The same as JSON, an object; closed by the caller. Fails CORRUPT too */
mlxe_status tok_files_read_json(const tok_files *f, json_doc **out, mlxe_error *err);
/* The row whose names hold the folder's class; NULL: none. */
const tok_class *tok_files_class(const tok_files *f, const tok_class *rows, size_t n);
/* The token that the settings give a role as Python's str() has it: "None" of null; usual: they
 * do not say. */
strv tok_files_role_text(const tok_files *f, int role, strv usual);
/* What the settings say of a token that a class asks for by a name; NULL: nothing, or a text, which
 * does not reach the class. */
const json *tok_files_own_name(const tok_files *f, const char *key);
/* The step of that type in a part of a tokenizer.json, which may be a Sequence; NULL: none. */
const json *tok_files_step(const json *part, const char *list, const char *type);
/* A setting of tokenizer_config.json; absent or null leaves *out. Fails CORRUPT */
mlxe_status tok_files_bool(const tok_files *f, const char *key, int *out, mlxe_error *err);
/* Adds the next id's string, copied. Fails MEMORY */
mlxe_status tok_files_add(tok_files *f, strv text, int32_t id, mlxe_error *err);

/* A token that the vocabulary file itself declares, or the class. */
typedef struct tok_own_token {
    strv text;
    int special;
    int is_object; /* an AddedToken; else a plain text */
} tok_own_token;

/* additional_special_tokens where it is not as good as extra_special_tokens; NULL: none. */
const json *tok_files_older_list(const tok_files *f);
/* The marks of entities that LUKE's classes list always. Fails UNSUPPORTED: the settings give
 * others than these */
mlxe_status tok_files_entities(const tok_files *f, const char *first, const char *second,
                               tok_own_token *own, size_t *n, mlxe_error *err);

/* Writes `"added_tokens":[..]`: the settings' tokens and own ones; sets roles and their ids.
 * vocab must be finished, size set. Fails CORRUPT, MEMORY (tok_special.c) */
mlxe_status tok_files_tokens(tok_files *f, const tok_class *c, const tok_own_token *own,
                             size_t n_own, buf *out, mlxe_error *err);

/* Writes the list of tokens that the settings add to those of tokenizer.json (file), or, where a
 * class has rebuilt the tokenizer, all that it has: [..], nothing where there are none; sets the
 * roles' texts. */
mlxe_status tok_files_more(tok_files *f, const tok_class *c, const tok_own_token *own, size_t n_own,
                           const json *file, int rebuilt, buf *out, mlxe_error *err);

/* Writes `"post_processor":{..}`, a template: "bos $A eos", "cls $A sep $B:1 sep:1". Words are
 * roles, "lang", the digit of one of words, or $A, $B, each with its type id. */
void tok_files_template(const tok_files *f, const char *one, const char *two, buf *out);
/* The same from add_bos_token and add_eos_token, with their defaults. Fails CORRUPT */
mlxe_status tok_files_bos_eos(const tok_files *f, int bos, int eos, buf *out, mlxe_error *err);

/* Writes the same of a type that puts one token before a text and another behind: BertProcessing,
 * RobertaProcessing. options: more keys, each with its comma. */
void tok_files_two_ends(const tok_files *f, const char *type, int sep, int32_t sep_id, int cls,
                        int32_t cls_id, const char *options, buf *out);

/* A role that the settings take away: templates still have it, with this id. */
void tok_files_lost_role(tok_files *f, int role, int32_t id);

/* Whisper's tokens before a text (tok_whisper.c): sets words by the settings, then writes its
 * template. Fails CORRUPT, UNSUPPORTED */
mlxe_status tok_whisper_words(tok_files *f, mlxe_error *err);
mlxe_status tok_whisper_template(tok_files *f, buf *out, mlxe_error *err);

/* Appends bytes as ByteLevel writes them. */
void tok_byte_chars(strv bytes, buf *out);
/* Writes pre_tokenizer and decoder of byte-level models: cut by the pattern, then bytes. */
void tok_write_byte_level(strv pattern, int prefix, buf *out);
/* Decimal digits; -1: they are none, or too many. */
int64_t tok_files_number(strv digits);

/* One format: a file src/text/formats/NAME.c with `const struct tok_format tok_format_NAME`. */
typedef struct tok_format {
    int order;                  /* lower ones are asked first */
    int (*takes)(tok_files *f); /* whether the folder has its files; sets path */
    mlxe_status (*write)(tok_files *f, buf *out, mlxe_error *err);
    const struct tok_rebuild *rebuild; /* NULL: none of its classes replaces a tokenizer.json's */
} tok_format;
/* What a class of transformers makes of a tokenizer.json: it takes the vocabulary, the merges, the
 * added tokens and the charsmap of the file, and has the rest itself. */
typedef struct tok_rebuild {
    const tok_class *(*class_of)(const tok_files *f); /* the folder's class; NULL: none of these */
    /* Writes `"model":{type and options},"normalizer":..,"pre_tokenizer":..,"decoder":..,`, a part
     * that it leaves out is none; nothing at all where the class takes the file as it is. */
    mlxe_status (*parts)(tok_files *f, const json *file, buf *out, mlxe_error *err);
    /* Special tokens of its own, where the settings list none. own has room for TOK_OWN_MAX. NULL:
     * it has none */
    mlxe_status (*tokens)(tok_files *f, tok_own_token *own, size_t *n, mlxe_error *err);
    /* Writes `"post_processor":..` of a class with own_post; roles and ids are set. */
    mlxe_status (*post)(tok_files *f, buf *out, mlxe_error *err);
} tok_rebuild;
enum { TOK_OWN_MAX = 10200 };

/* The settings beside a tokenizer.json (tok_beside.c). */
typedef struct tok_beside {
    tok_files f;
    const tok_rebuild *how; /* NULL: no class that has one */
    int rebuilt;            /* by its class; 0: the file is taken as it is */
    tok_class class;
} tok_beside;
/* Writes what counts instead of the file's: an object with model (its options), normalizer,
 * pre_tokenizer, decoder, added_tokens, each only where it is another; more_tokens come behind the
 * file's own.
 * Fails CORRUPT, IO, MEMORY, UNSUPPORTED (a class for another kind of model). Closed on failure */
mlxe_status tok_beside_open(const char *folder, const json *file, tok_beside *b, buf *out,
                            mlxe_error *err);
/* The same of the post-processor, once the tokenizer knows its tokens. out stays empty: the file's
 * counts. */
mlxe_status tok_beside_post(tok_beside *b, const struct tok *t, const json *file, buf *out,
                            mlxe_error *err);
void tok_beside_close(tok_beside *b);
/* The class that AutoTokenizer of transformers takes by the names in the settings; p NULL: it takes
 * none (tok_class_name.c). */
strv tok_class_name(const json *tokenizer_config, const json *model_config);
/* Opens a folder without tokenizer.json. Fails NOT_FOUND (no format takes it) too */
mlxe_status tok_files_tokenizer(const char *folder, tok **out, mlxe_error *err);

#endif
