"""Every function a template may call, by name, and those of Go and sprig that are left out."""

from __future__ import annotations

from core.prompt.gotemplate.builtins import BUILTINS
from core.prompt.gotemplate.sprig_data import DATA_FUNCTIONS
from core.prompt.gotemplate.sprig_text import TEXT_FUNCTIONS

FUNCTIONS = BUILTINS | TEXT_FUNCTIONS | DATA_FUNCTIONS

_GO_AND_SPRIG = """
abbrev abbrevboth add1f addf adler32sum ago all any append atoi b32dec b32enc b64dec b64enc base bcrypt biggest
bsdEncode buildCustomCert call camelcase cat ceil chunk clean compact concat date_in_zone date_modify dateInZone
dateModify decryptAES deepCopy deepEqual derivePassword dig dir div divf duration durationRound encryptAES env
expandenv ext fail float64 floor fromJson genCA genCAWithKey genPrivateKey genSelfSignedCert
genSelfSignedCertWithKey genSignedCert genSignedCertWithKey getHostByName has hello htmlDate htmlDateInZone htpasswd
initial initials int int64 isAbs kebabcase keys kindIs kindOf max maxf merge mergeOverwrite min minf mod mulf
mustAppend mustChunk mustCompact mustDateModify mustDeepCopy mustFirst mustFromJson mustHas mustInitial mustLast
mustMerge mustMergeOverwrite mustPrepend mustPush mustRegexFind mustRegexFindAll mustRegexMatch mustRegexReplaceAll
mustRegexReplaceAllLiteral mustRegexSplit mustRest mustReverse mustSlice mustToDate mustToJson mustToPrettyJson
mustToRawJson mustUniq mustWithout must_date_modify nospace omit osBase osClean osDir osExt osIsAbs pick pluck plural
prepend push quote randAlpha randAlphaNum randAscii randBytes randInt randNumeric regexFind regexFindAll regexMatch
regexQuoteMeta regexReplaceAllLiteral regexSplit repeat rest reverse round semver semverCompare seq set sha1sum
sha256sum sha512sum shuffle slice snakecase sortAlpha split splitn subf substr swapcase toDate toDecimal toStrings
trimAll trimall tuple typeIs typeIsLike typeOf uniq unixEpoch unset until untilStep untitle urlJoin urlParse uuidv4
values without wrap wrapWith
"""
NOT_OFFERED = frozenset(_GO_AND_SPRIG.split()) - FUNCTIONS.keys()
"""Names of Go and of sprig that prompts have no use for, or that would read what a template should not."""
