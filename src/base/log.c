/* log.c: formats one line for the caller's log callback. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void log_line(const log_sink *sink, mlxe_log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    if (!sink || !sink->fn || level > sink->level) return;
    line[0] = 0;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    err_clean(line);
    sink->fn(sink->user, level, line);
}
