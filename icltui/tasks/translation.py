"""Families of translation: English words to other languages, numbers to digits and to other languages."""

from icltui.tasks.family import by_example, pairs

_FRENCH = pairs(
    "house:maison dog:chien cat:chat water:eau bread:pain book:livre day:jour night:nuit man:homme "
    "woman:femme child:enfant king:roi hand:main eye:oeil head:tête heart:coeur city:ville street:rue "
    "school:école friend:ami love:amour life:vie death:mort world:monde sun:soleil moon:lune sea:mer "
    "sky:ciel tree:arbre flower:fleur milk:lait wine:vin red:rouge white:blanc black:noir green:vert one:un "
    "three:trois"
)
_SPANISH = pairs(
    "house:casa dog:perro cat:gato water:agua bread:pan book:libro day:día night:noche man:hombre "
    "woman:mujer child:niño king:rey hand:mano eye:ojo head:cabeza heart:corazón city:ciudad street:calle "
    "school:escuela friend:amigo love:amor life:vida death:muerte world:mundo sun:sol moon:luna sea:mar "
    "sky:cielo tree:árbol flower:flor milk:leche wine:vino red:rojo white:blanco black:negro green:verde "
    "one:uno three:tres"
)
_GERMAN = pairs(
    "house:Haus dog:Hund cat:Katze water:Wasser bread:Brot book:Buch day:Tag night:Nacht man:Mann "
    "woman:Frau child:Kind king:König eye:Auge head:Kopf heart:Herz city:Stadt street:Straße school:Schule "
    "friend:Freund love:Liebe life:Leben death:Tod world:Welt sun:Sonne moon:Mond sea:Meer sky:Himmel "
    "tree:Baum flower:Blume milk:Milch wine:Wein red:rot white:weiß black:schwarz green:grün one:eins three:drei"
)
_DIGITS = pairs(
    "one:1 two:2 three:3 four:4 five:5 six:6 seven:7 eight:8 nine:9 ten:10 eleven:11 twelve:12 thirteen:13 "
    "fourteen:14 fifteen:15 sixteen:16 seventeen:17 eighteen:18 nineteen:19 twenty:20 twenty-one:21 "
    "twenty-five:25 thirty:30 thirty-two:32 thirty-six:36 forty:40 forty-three:43 forty-seven:47 fifty:50 "
    "fifty-four:54 sixty:60 sixty-five:65 seventy:70 seventy-six:76 eighty:80 ninety:90 ninety-nine:99"
)
_NUMBERS_IN_SPANISH = pairs(
    "1:uno 2:dos 3:tres 4:cuatro 5:cinco 6:seis 7:siete 8:ocho 9:nueve 10:diez 11:once 12:doce 13:trece "
    "14:catorce 15:quince 16:dieciséis 17:diecisiete 18:dieciocho 19:diecinueve 20:veinte 21:veintiuno "
    "22:veintidós 23:veintitrés 24:veinticuatro 25:veinticinco 26:veintiséis 27:veintisiete 28:veintiocho "
    "29:veintinueve 30:treinta 40:cuarenta 50:cincuenta 60:sesenta 70:setenta 80:ochenta 90:noventa"
)

TRANSLATION = (
    by_example("English to French", _FRENCH),
    by_example("English to Spanish", _SPANISH),
    by_example("English to German", _GERMAN),
    by_example("Spanish to English", [(word, english) for english, word in _SPANISH], "Q: {}\nA:"),
    by_example("number to digits", _DIGITS),
    by_example("number to Spanish", _NUMBERS_IN_SPANISH),
)
