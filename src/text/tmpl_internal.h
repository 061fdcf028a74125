/* tmpl_internal.h: what tmpl.c and tmpl_folder.c share; tests and fuzz targets set limits. */
#ifndef TEXT_TMPL_INTERNAL_H
#define TEXT_TMPL_INTERNAL_H

#include "text/template/tree.h"
#include "text/tmpl.h"

struct tmpl {
    jj_template *t;
    json_doc *variables; /* an object: bos_token and the like; NULL: none */
    buf tokens;          /* texts of added tokens, one a line */
};

/* The limits of tmpl_render: about two seconds of work. */
extern const jj_limits TMPL_LIMITS;

mlxe_status tmpl_render_limited(const tmpl *t, const json *request, const jj_limits *limits,
                                buf *out, tmpl_spans *spans, mlxe_error *err);

#endif
