/* clock.c: strftime in the C locale, as glibc has it for a local time without a zone.
 *
 * Owns: every conversion itself, so that neither the locale nor the time zone of the process shows.
 * Source: POSIX strftime, glibc's flags - _ 0 ^ #; CPython's datetime.strftime: %f is microseconds,
 *         %z and %Z are empty for a time without zone.
 * Traps: %U and %W count weeks from the first Sunday and Monday, %V is ISO 8601's week, whose year
 *        %G differs from %Y around New Year. */
#include "text/template/value.h"

#include <stdio.h>
#include <time.h>

static const char *const DAYS[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const MONTHS[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

static int leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

static int day_of_year(const jj_time *t) /* from 0 */
{
    static const int BEFORE[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    return BEFORE[t->month - 1] + (t->month > 2 && leap(t->year)) + t->day - 1;
}

/* Days since 1970-01-01. */
static int64_t day_number(const jj_time *t)
{
    int64_t y = t->year - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 - 719162 + day_of_year(t);
}

static int week_day(const jj_time *t) /* 0: Sunday */
{
    return (int)(((day_number(t) + 4) % 7 + 7) % 7);
}

static int iso_week(const jj_time *t, int *year)
{
    int monday = (week_day(t) + 6) % 7, day = day_of_year(t);
    int week = (day - monday + 10) / 7, last;
    *year = t->year;
    if (week < 1) {
        jj_time before = {.year = t->year - 1, .month = 12, .day = 31};
        return iso_week(&before, year);
    }
    last = (week_day(&(jj_time){.year = t->year, .month = 12, .day = 31}) + 6) % 7;
    if (week == 53 && last < 3) {
        *year = t->year + 1;
        return 1;
    }
    return week;
}

/* A number in its usual width, unless a flag says otherwise. */
static void number(buf *b, int64_t v, int width, char fill, char flag)
{
    char text[32];
    if (flag == '-') width = 0;
    if (flag == '_') fill = ' ';
    if (flag == '0') fill = '0';
    snprintf(text, sizeof text, fill == '0' ? "%0*lld" : "%*lld", width, (long long)v);
    buf_add_str(b, text);
}

static void word(buf *b, const char *text, size_t n, char flag)
{
    for (size_t i = 0; i < n && text[i]; i++) {
        char c = text[i];
        buf_add_char(b, flag == '^' && c >= 'a' && c <= 'z' ? (char)(c - 32) : c);
    }
}

/* Seconds since 1970 of a local time. */
static time_t seconds_of(const jj_time *t)
{
    struct tm local = {.tm_year = t->year - 1900,
                       .tm_mon = t->month - 1,
                       .tm_mday = t->day,
                       .tm_hour = t->hour,
                       .tm_min = t->minute,
                       .tm_sec = t->second,
                       .tm_isdst = -1};
    return mktime(&local);
}

static int conversion(jj_rt *rt, buf *b, const jj_time *t, char c, char flag);

static void composed(jj_rt *rt, buf *b, const jj_time *t, const char *format, char flag)
{
    for (; *format; format++)
        if (*format == '%')
            conversion(rt, b, t, *++format, flag == '^' ? flag : 0);
        else
            buf_add_char(b, *format);
}

static int date_number(buf *b, const jj_time *t, char c, char flag)
{
    int hour12 = t->hour % 12 ? t->hour % 12 : 12, year;
    switch (c) {
    case 'd':
        number(b, t->day, 2, '0', flag);
        break;
    case 'e':
        number(b, t->day, 2, ' ', flag);
        break;
    case 'm':
        number(b, t->month, 2, '0', flag);
        break;
    case 'y':
        number(b, t->year % 100, 2, '0', flag);
        break;
    case 'Y':
        number(b, t->year, 1, '0', flag);
        break;
    case 'C':
        number(b, t->year / 100, 2, '0', flag);
        break;
    case 'H':
        number(b, t->hour, 2, '0', flag);
        break;
    case 'k':
        number(b, t->hour, 2, ' ', flag);
        break;
    case 'I':
        number(b, hour12, 2, '0', flag);
        break;
    case 'l':
        number(b, hour12, 2, ' ', flag);
        break;
    case 'M':
        number(b, t->minute, 2, '0', flag);
        break;
    case 'S':
        number(b, t->second, 2, '0', flag);
        break;
    case 'f':
        number(b, t->microsecond, 6, '0', 0);
        break;
    case 'j':
        number(b, day_of_year(t) + 1, 3, '0', flag);
        break;
    case 'u':
        number(b, week_day(t) ? week_day(t) : 7, 1, '0', flag);
        break;
    case 'w':
        number(b, week_day(t), 1, '0', flag);
        break;
    case 'U':
        number(b, (day_of_year(t) + 7 - week_day(t)) / 7, 2, '0', flag);
        break;
    case 'W':
        number(b, (day_of_year(t) + 7 - (week_day(t) + 6) % 7) / 7, 2, '0', flag);
        break;
    case 'V':
        number(b, iso_week(t, &year), 2, '0', flag);
        break;
    case 'G':
        iso_week(t, &year);
        number(b, year, 1, '0', flag);
        break;
    case 'g':
        iso_week(t, &year);
        number(b, year % 100, 2, '0', flag);
        break;
    default:
        return 0;
    }
    return 1;
}

static int conversion(jj_rt *rt, buf *b, const jj_time *t, char c, char flag)
{
    if (date_number(b, t, c, flag)) return 1;
    switch (c) {
    case 'a':
        word(b, DAYS[week_day(t)], 3, flag);
        break;
    case 'A':
        word(b, DAYS[week_day(t)], SIZE_MAX, flag);
        break;
    case 'b':
    case 'h':
        word(b, MONTHS[t->month - 1], 3, flag);
        break;
    case 'B':
        word(b, MONTHS[t->month - 1], SIZE_MAX, flag);
        break;
    case 'p':
        word(b, flag == '#' ? (t->hour < 12 ? "am" : "pm") : t->hour < 12 ? "AM" : "PM", 2, flag);
        break;
    case 'P':
        word(b, t->hour < 12 ? "am" : "pm", 2, 0);
        break;
    case 'c':
        composed(rt, b, t, "%a %b %e %H:%M:%S %Y", flag);
        break;
    case 'x':
    case 'D':
        composed(rt, b, t, "%m/%d/%y", flag);
        break;
    case 'X':
    case 'T':
        composed(rt, b, t, "%H:%M:%S", flag);
        break;
    case 'F':
        composed(rt, b, t, "%Y-%m-%d", flag);
        break;
    case 'r':
        composed(rt, b, t, "%I:%M:%S %p", flag);
        break;
    case 'R':
        composed(rt, b, t, "%H:%M", flag);
        break;
    case 's':
        buf_addf(b, "%lld", (long long)seconds_of(t));
        break;
    case 'n':
        buf_add_char(b, '\n');
        break;
    case 't':
        buf_add_char(b, '\t');
        break;
    case '%':
        buf_add_char(b, '%');
        break;
    case 'z':
    case 'Z':
        break;
    default:
        return 0;
    }
    return 1;
}

void jj_strftime(jj_rt *rt, buf *b, const jj_time *t, strv format)
{
    const char *zero = format.n ? memchr(format.p, 0, format.n) : NULL;
    if (zero) format.n = (size_t)(zero - format.p); /* the reference asks C's strftime */
    for (size_t i = 0; i < format.n; i++) {
        size_t at = i + 1;
        char flag = 0;
        if (format.p[i] != '%') {
            buf_add_char(b, format.p[i]);
            continue;
        }
        while (at < format.n && format.p[at] && strchr("-_0^#", format.p[at]))
            flag = format.p[at++];
        if (at < format.n && (format.p[at] == 'E' || format.p[at] == 'O')) at++;
        if (at < format.n && conversion(rt, b, t, format.p[at], flag)) {
            i = at;
            continue;
        }
        /* Unknown: stays as it is. */
        for (; i < at && i < format.n; i++)
            buf_add_char(b, format.p[i]);
        i = at < format.n ? at - 1 : format.n;
    }
}
