/* tok_regex_empty.c: which parts of an Oniguruma pattern can match nothing (tok_regex_translate.c).
 *
 *   facts of atoms --join, either, repeat--> facts of a group --> may it be repeated n to m times?
 *
 * After an empty turn Oniguruma leaves a repeat at once, PCRE2 takes the remaining turns. (In short
 * patterns Oniguruma writes the turns out, and takes them too.) The matches, in the order in which
 * they are tried, are nevertheless equal when each turn has one way only, or when nothing is what a
 * turn tries last, and can try everywhere: all that the remaining turns find was tried before. A
 * turn that captures for a back-reference, or moves the begin of the match, tells them apart.
 *
 * Repeats without end and those of one turn leave it in the same way in both.
 *
 * Source: Oniguruma regcomp.c, regexec.c (OP_EMPTY_CHECK_END, OP_REPEAT_INC): behaviour. */
#include "text/tok_regex_translate.h"

unsigned regex_facts_join(unsigned first, unsigned then)
{
    unsigned effects = (first | then) & REGEX_EFFECTS;
    return effects | (first & then & REGEX_MAY_BE_EMPTY ? first & then & REGEX_NOTHING : 0);
}

unsigned regex_facts_either(unsigned first, unsigned other)
{
    unsigned facts = (first | other) & (REGEX_EFFECTS | REGEX_MAY_BE_EMPTY);
    if (first & other & REGEX_EMPTY) facts |= REGEX_ANCHOR;
    if (!(first & REGEX_MAY_BE_EMPTY)) facts |= other & REGEX_EMPTY_LAST;
    return facts;
}

unsigned regex_facts_repeat(unsigned facts, int low, int high, char mode)
{
    unsigned effects = facts & REGEX_EFFECTS, empty = facts & REGEX_MAY_BE_EMPTY;
    if (high == 0) return REGEX_NOTHING;
    if (facts & REGEX_EMPTY) return low ? facts : REGEX_NOTHING | effects;
    if (low > 0 && !empty) return effects;
    effects |= REGEX_MAY_BE_EMPTY;
    if (mode == '+') return effects | REGEX_ONE_WAY;
    if (mode == '?') return effects;
    if (low == 0 && (!empty || facts & (REGEX_EMPTY_LAST | REGEX_ONE_WAY)))
        effects |= REGEX_EMPTY_LAST;
    if (low > 0) effects |= facts & REGEX_EMPTY_LAST;
    if (low == high) effects |= facts & REGEX_ONE_WAY;
    return effects;
}

int regex_facts_repeatable(unsigned facts, int low, int high)
{
    if (!(facts & REGEX_MAY_BE_EMPTY) || (high >= 0 ? high : low) <= 1) return 1;
    return !(facts & REGEX_EFFECTS) && facts & (REGEX_EMPTY_LAST | REGEX_ONE_WAY);
}
