/* resolve.c: finds pocket models beside the library, refuses what this build cannot open by name.
 *
 *   build tree  build/lib/libmlxengine.so  -> ../../zoo/NAME
 *   installed   lib/libmlxengine.so        -> ../share/mlxengine/zoo/NAME
 *
 * Source: dladdr on a symbol of this library: it must work wherever the tree is moved to. */
#define _GNU_SOURCE
#include "registry/resolve.h"

#include "base/fs.h"
#include "hub/names.h"

#include <dlfcn.h>

static const char *const ZOO[] = {"/../share/mlxengine/zoo/", "/../../../share/mlxengine/zoo/",
                                  "/../../zoo/", "/../zoo/"};

mlxe_status resolve_library_folder(buf *out, mlxe_error *err)
{
    static const char anchor = 0; /* lies in this library's image */
    Dl_info info;
    const char *slash;
    if (!dladdr(&anchor, &info) || !info.dli_fname)
        return err_set(err, MLXE_E_INTERNAL, "library: its own path is not known");
    slash = strrchr(info.dli_fname, '/');
    if (!slash)
        buf_add_char(out, '.');
    else
        buf_add(out, info.dli_fname, (size_t)(slash - info.dli_fname));
    return buf_ok(out) ? MLXE_OK : err_memory(err, "path", 0);
}

int resolve_is_hub_id(const char *name)
{
    strv id, revision;
    hub_name_split(name, &id, &revision);
    return id.n && memchr(id.p, '/', id.n) && !hub_id_check(id, NULL) &&
           (!revision.p || !hub_revision_check(revision, NULL));
}

static mlxe_status not_there(const char *name, mlxe_error *err)
{
    err_set(err, MLXE_E_NOT_FOUND,
            "%s: no such model, want a folder, a Hub id org/name or a pocket model", name);
    err_hint(err, "pocket models: pocket-llm");
    return MLXE_E_NOT_FOUND;
}

mlxe_status resolve_model(const char *name, buf *folder, mlxe_error *err)
{
    strv n = strv_of(name);
    buf library = {0};
    mlxe_status rc;
    buf_clear(folder);
    if (!n.n) return err_set(err, MLXE_E_ARG, "model: empty name");
    if (strv_ends(n, STRV(".gguf")))
        return err_set(
            err, MLXE_E_UNSUPPORTED,
            "%s: GGUF files are not supported by this version, want a folder with safetensors",
            name);
    if (fs_is_dir(name)) {
        buf_add_strv(folder, n);
        while (folder->n > 1 && folder->p[folder->n - 1] == '/')
            folder->p[--folder->n] = 0;
        return buf_ok(folder) ? MLXE_OK : err_memory(err, "path", n.n);
    }
    if (fs_exists(name))
        return err_set(err, MLXE_E_UNSUPPORTED, "%s: is a file, want a model folder", name);
    if (!strv_starts(n, STRV("pocket-")) || strchr(name, '/')) return not_there(name, err);
    if ((rc = resolve_library_folder(&library, err))) goto out;
    rc = MLXE_E_NOT_FOUND;
    for (size_t i = 0; i < sizeof ZOO / sizeof *ZOO && rc; i++) {
        buf_clear(folder);
        buf_add_strv(folder, buf_view(&library));
        buf_add_str(folder, ZOO[i]);
        buf_add_strv(folder, n);
        if (buf_ok(folder) && fs_is_dir(buf_str(folder))) rc = MLXE_OK;
    }
    if (rc) rc = not_there(name, err);
out:
    buf_deinit(&library);
    return rc;
}
