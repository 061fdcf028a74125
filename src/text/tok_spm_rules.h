/* tok_spm_rules.h: what a class of transformers makes of a SentencePiece unigram model. */
#ifndef TEXT_TOK_SPM_RULES_H
#define TEXT_TOK_SPM_RULES_H

#include "text/tok_files.h"

enum { SPM_LAST_SENTINELS = -1, SPM_FIRST_PEGASUS = -2 };
/* Where the unknown piece is: at the model's id; the first of unk_token's text, or of it with score
 * 0, else unk_else. */
enum { SPM_UNK_MODEL = -1, SPM_UNK_TEXT = -2, SPM_UNK_FLAT = -3, SPM_UNK_REFUSED = -4 };

enum { SPM_LOST_NOT, SPM_LOST_ZERO, SPM_LOST_UNK };

typedef struct spm_rule {
    tok_class class;
    const char *first; /* pieces before the model's, parted by spaces; the score is 0, with a '-'
                          before the piece -100; those with a role are named by the settings */
    int skip;          /* of the model's pieces, from the begin */
    const char *last;  /* pieces behind the model's */
    int more;          /* SPM_LAST_SENTINELS, SPM_FIRST_PEGASUS, 0 */
    int unk;           /* id of the unknown piece, or SPM_UNK_.. */
    int unk_else;      /* its id (SPM_UNK_MODEL: the model's) where SPM_UNK_FLAT finds none */
    int unk_from;      /* SPM_UNK_FLAT looks from this piece on */
    /* Letters, in order: q quotes, a accents (unless keep_accents), d the same (if keep_accents is
     * said to be false), A accents, l lower case, c the model's charsmap, n line ends where it has
     * none, r white space at the end, s runs of spaces, u the same to one mark, w runs of white
     * space */
    const char *normalize;
    int lower;       /* do_lower_case where the settings do not say */
    int asks_prefix; /* its settings may say add_prefix_space */
    int asks_ends;   /* and add_bos_token or add_eos_token, which then replace `one` and `two` */
    const char *cut; /* letters: w white space, p punctuation (with split_by_punct), m spaces */
    const char *one, *two;               /* as tok_files_template */
    const char *beside_one, *beside_two; /* the same beside a tokenizer.json; NULL: `one`, `two` */
    int lost_ends;         /* SPM_LOST_..: ids of their tokens where the settings say null */
    const char *own;       /* special tokens where there is no model, and the settings list none */
    const char *languages; /* special tokens beside the model's own; often the end of `last` */
    int languages_first;   /* they come before the model's own */
    const char *language;  /* src_lang where the settings do not say; NULL: none */
} spm_rule;

/* The rule of the folder's class; NULL: none. */
const spm_rule *spm_rule_find(const tok_files *f);

/* Appends `"normalizer":..,"pre_tokenizer":..,"decoder":..,`; charsmap: its normalizer as JSON,
 * empty: none. Fails CORRUPT */
mlxe_status spm_rule_write(const spm_rule *rule, const tok_files *f, strv charsmap, buf *out,
                           mlxe_error *err);

#endif
