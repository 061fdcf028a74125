/* tok_spm_rules.h: what a class of transformers makes of a SentencePiece unigram model. */
#ifndef TEXT_TOK_SPM_RULES_H
#define TEXT_TOK_SPM_RULES_H

#include "text/tok_files.h"

enum { SPM_UNK_BY_NAME = -1, SPM_LAST_SENTINELS = -1, SPM_FIRST_PEGASUS = -2 };

typedef struct spm_rule {
    tok_class class;
    const char *first; /* pieces before the model's, parted by spaces; the score is 0, with a '-'
                          before the piece -100; those with a role are named by the settings */
    int skip;          /* of the model's pieces, from the begin */
    const char *last;  /* pieces behind the model's */
    int more;          /* SPM_LAST_SENTINELS, SPM_FIRST_PEGASUS, 0 */
    int unk;           /* id of the unknown piece */
    /* Letters, in order: q quotes, a accents (unless keep_accents), d the same (if keep_accents is
     * said to be false), A accents, l lower case, c the model's charsmap, n line ends where it has
     * none, s runs of spaces, u the same to one mark, w runs of white space */
    const char *normalize;
    int lower;       /* do_lower_case where the settings do not say */
    int asks_prefix; /* its settings may say add_prefix_space */
    int asks_ends;   /* and add_bos_token or add_eos_token, which then replace `one` and `two` */
    const char *cut; /* letters: w white space, p punctuation (with split_by_punct), m spaces */
    const char *one, *two; /* as tok_files_template */
    const char *languages; /* special tokens that follow the model's own; often the end of `last` */
    const char *language;  /* src_lang where the settings do not say; NULL: none */
} spm_rule;

/* The rule of the folder's class; NULL: none. */
const spm_rule *spm_rule_find(const tok_files *f);

/* Appends `"normalizer":..,"pre_tokenizer":..,"decoder":..,`; charsmap: its normalizer as JSON,
 * empty: none. Fails CORRUPT */
mlxe_status spm_rule_write(const spm_rule *rule, const tok_files *f, strv charsmap, buf *out,
                           mlxe_error *err);

#endif
