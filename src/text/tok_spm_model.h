/* tok_spm_model.h: a SentencePiece model, as its protobuf file has it. */
#ifndef TEXT_TOK_SPM_MODEL_H
#define TEXT_TOK_SPM_MODEL_H

#include "text/tok_files.h"

enum {
    SPM_TYPE_NORMAL = 1,
    SPM_TYPE_UNKNOWN,
    SPM_TYPE_CONTROL,
    SPM_TYPE_USER,
    SPM_TYPE_UNUSED,
    SPM_TYPE_BYTE
};
enum { SPM_MODEL_UNIGRAM = 1, SPM_MODEL_BPE = 2 };

typedef struct spm_piece {
    strv text;
    float score;
    int type;
    int32_t id; /* in a BPE vocabulary */
} spm_piece;

typedef struct spm {
    const char *where;
    mlxe_error *err;
    spm_piece *v;
    size_t n, cap;
    int model, byte_fallback, suffix_space;
    int unk_id, bos_id, eos_id; /* -1: none */
    strv names[3];              /* of bos, eos and unk, as the trainer was told */
    strv charsmap;
    int dummy_prefix, joins_spaces;
} spm;

/* Reads the bytes of the file into s, whose where and err are set; what else it holds counts where
 * the file says nothing. Texts lie in `in`; v is for the caller to free, after a failure too.
 * Fails CORRUPT, UNSUPPORTED, MEMORY */
mlxe_status spm_read(spm *s, strv in);

#endif
