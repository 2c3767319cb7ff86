"""Families of word meanings and common knowledge: opposites, countries, what comes next."""

from icltui.tasks.family import by_example, pairs

_ANTONYMS = pairs(
    "hot:cold big:small fast:slow high:low old:new happy:sad rich:poor strong:weak hard:soft wet:dry "
    "dark:light full:empty early:late open:closed clean:dirty loud:quiet thick:thin near:far deep:shallow "
    "wide:narrow long:short good:bad true:false left:right up:down first:last love:hate win:lose buy:sell "
    "push:pull start:stop black:white day:night male:female north:south east:west before:after above:below "
    "inside:outside always:never"
)
_OPPOSITE_GENDER = pairs(
    "king:queen man:woman boy:girl father:mother son:daughter brother:sister uncle:aunt husband:wife "
    "prince:princess actor:actress waiter:waitress he:she him:her himself:herself sir:madam lord:lady "
    "duke:duchess god:goddess hero:heroine host:hostess nephew:niece grandfather:grandmother "
    "grandson:granddaughter gentleman:gentlewoman bull:cow lion:lioness emperor:empress wizard:witch monk:nun "
    "groom:bride businessman:businesswoman policeman:policewoman heir:heiress stallion:mare male:female dad:mom"
)
_CAPITALS = pairs(
    "France:Paris Italy:Rome Spain:Madrid Germany:Berlin Egypt:Cairo Japan:Tokyo China:Beijing "
    "Greece:Athens Austria:Vienna Russia:Moscow Poland:Warsaw Norway:Oslo Sweden:Stockholm "
    "Finland:Helsinki Ireland:Dublin Portugal:Lisbon Hungary:Budapest Cuba:Havana Peru:Lima "
    "Kenya:Nairobi Turkey:Ankara Iran:Tehran Iraq:Baghdad Canada:Ottawa England:London Belgium:Brussels "
    "Denmark:Copenhagen Chile:Santiago Thailand:Bangkok Syria:Damascus Vietnam:Hanoi Ukraine:Kiev "
    "Lebanon:Beirut Indonesia:Jakarta Australia:Canberra Romania:Bucharest"
)
_LANGUAGES = pairs(
    "France:French Italy:Italian Germany:German Egypt:Arabic Japan:Japanese China:Chinese Greece:Greek "
    "Russia:Russian Poland:Polish Norway:Norwegian Sweden:Swedish Finland:Finnish Brazil:Portuguese "
    "Hungary:Hungarian Turkey:Turkish England:English Denmark:Danish Thailand:Thai Vietnam:Vietnamese "
    "Mexico:Spanish Iran:Persian Israel:Hebrew Korea:Korean Netherlands:Dutch Ukraine:Ukrainian Bulgaria:Bulgarian "
    "Romania:Romanian Albania:Albanian Armenia:Armenian Mongolia:Mongolian Iceland:Icelandic Estonia:Estonian "
    "Latvia:Latvian Lithuania:Lithuanian"
)
_NATIONALITY = pairs(
    "France:French Italy:Italian Germany:German Egypt:Egyptian Japan:Japanese China:Chinese Greece:Greek "
    "Russia:Russian Poland:Polish Norway:Norwegian Sweden:Swedish Finland:Finnish Brazil:Brazilian "
    "Hungary:Hungarian Turkey:Turkish England:English Denmark:Danish Vietnam:Vietnamese Mexico:Mexican Iran:Iranian "
    "Israel:Israeli Korea:Korean Netherlands:Dutch Ukraine:Ukrainian Spain:Spanish Ireland:Irish Canada:Canadian "
    "America:American India:Indian Australia:Australian Austria:Austrian Belgium:Belgian Portugal:Portuguese "
    "Cuba:Cuban Peru:Peruvian Scotland:Scottish"
)
_NEXT = pairs(
    "Monday:Tuesday Wednesday:Thursday Friday:Saturday January:February March:April May:June July:August "
    "September:October November:December one:two three:four five:six seven:eight nine:ten eleven:twelve "
    "thirteen:fourteen fifteen:sixteen seventeen:eighteen A:B C:D E:F G:H I:J K:L M:N O:P Q:R S:T U:V W:X "
    "first:second third:fourth fifth:sixth seventh:eighth ninth:tenth"
)

MEANING = (
    by_example("antonym", _ANTONYMS),
    by_example("opposite gender", _OPPOSITE_GENDER),
    by_example("capital", _CAPITALS),
    by_example("language", _LANGUAGES),
    by_example("nationality", _NATIONALITY),
    by_example("next item", _NEXT),
)
