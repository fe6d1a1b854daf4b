"""What is known of the original rows of each benchmark, as digests: no problem and no gold in clear.

One entry a row, in the original order: id, `digest` of the canonical gold, and `digest` or `sketch` of the
statement (see `checks.Known`). A GPQA gold covers the text of all four choices.
"""

from __future__ import annotations

from functools import cache

from .checks import Key, Known


@cache
def key_of(name: str) -> Key:
    """The key of a benchmark."""
    prefix, suffix = _AFFIXES.get(name, (f"{name}-", ""))
    entries = (entry.split(":") for entry in _KEYS[name].split())
    rows = {f"{prefix}{id}{suffix}": Known(gold, statement) for id, gold, statement in entries}
    return Key(_DIGESTS[name], rows)


_AFFIXES = {"math500": ("test/", ".json"), "gpqa-diamond": ("", "")}

_DIGESTS = {
    "aime25": "d708af72f3dc9cd990fb6ee979cefb1aa19f657d2577b6db5dad45203f75e64b",
    "aime24": "cde8e8ea9f55ed923e3f2e08deefb747b656e72b34d92926972d498d6f9fac13",
    "hmmt25": "62774e2455286fb549b9ef8e76d9bbb5cfa30dece3da006e61a5baa5766fe36b",
    "math500": "d6eb65196d17119500c47029a4e1ebe6094cf9e62fc0ea1077a42d06a0d0d1f0",
    "gpqa-diamond": "e6609d05de16389868bc44c94326c3970bfdeb34bd02ff44ad77ecac1834383f",
}

_KEYS = {
    "aime25": """
I-1:fa02ab38:3a312d1fc42ccd5a I-2:2b6fade6:3c57b81b63522fab I-3:d66d3b29:6ab13d39c605851a
I-4:15015b80:ad7156332674df5c I-5:eb96adbc:aa76703bd7d499cf I-6:072cc8dd:a8334d3d27445299
I-7:8eb096d0:fa71497fcbfc9dce I-8:7d667d1f:ea54513b499911aa I-9:eeab4e6c:aa31051388455dca
I-10:2367b875:0e774033c67cd98a I-11:4c360f32:2c711e4bf74c90c8 I-12:dd7840af:6a314d3bc245990a
I-13:3833ed36:39656d5fd54cc9de I-14:97b094b7:2e01694bd7668949 I-15:17414888:2e170013423ed9ca
II-1:ae549ce3:6a1b211383146d9b II-2:6510249d:99776d9f42ce99af II-3:b458a976:78775a73ff1cbed8
II-4:f8cf0baa:eb46733de7ff142e II-5:79d80752:cc7f101b635233ab II-6:52e740e6:7e57b91367d23fab
II-7:769718e2:ba11e95bcfcf3108 II-8:26fed6b4:6312395bd764598c II-9:b1f13bab:2975154f9746b04c
II-10:5ad40b64:9a71ad19cf41350e II-11:19eebf2d:28395d39df4fa19c II-12:1f983973:4a978953de1e958a
II-13:f8ba7373:2f550253f726b0c1 II-14:0603289d:0a15215be3cf298b II-15:fd132048:ab751569f6049044
""",
    "aime24": """
I-1:4642d385:b0622d5de44d92c8 I-2:b26c59f1:a375f4073734bb08 I-3:0ed3ebb3:a957457b6fc40c9b
I-4:7c437733:7a47a57b4e44b5fa I-5:8ad69762:0aabb0036758a38a I-6:119c273e:2c664a76efda0d3a
I-7:8fab2501:7a43119bec18160b I-8:6d7a9374:1e3f811fefcd3128 I-9:2b97c66e:d8553d3f4546b6ca
I-10:954168a5:7255711befe32989 I-11:867a3dd5:b255715bd2c78589 I-12:8e62f97e:2d331453b704bcce
I-13:1756e963:efc66d73dfd41dcd I-14:47a58def:7e45297bdfc58d19 I-15:b1c8d82a:be59495fa7e44d9a
II-1:d6f56ffb:6a397539c21c88dc II-2:8c7a7c10:a9316d7dce479c98 II-3:ea5a9df4:2a534d7fdf44d91a
II-4:d1bd458c:6706347a76c6150d II-5:eb868d25:e8719539fd3bc1da II-6:4c5d10ec:a8b5ed1bee4e91de
II-7:05885894:e6716d7d8fe4210d II-8:9147f878:5ffdeb67ffdc7f38 II-9:e894c2ff:b8656d3fc3479d1c
II-10:9f525901:c655051224bc0873 II-11:505e3a20:2e330c12025858ca II-12:82c9de43:dc174945afd46d8b
II-13:fb428791:62514b13a76a1476 II-14:c2f8125e:7e52e11f14989c0f II-15:87ed8a17:6a75c77bef5c8f5a
""",
    "hmmt25": """
1:f68ae9ef:2936357f4a74d459 2:7ddde615:1a3d291fca51fcca 3:71bd4a4b:89775432667c130a
4:9c576989:55d74146c14121ab 5:ae56c197:5c3175cf26c64418 6:f029d57b:b6e2704242346201
7:0dad21cc:2e27a8136a5a7dca 8:3121c440:3f50a553bbe6f50d 9:5c9d0ba4:3a13a1534394b9c8
10:660aa9e0:ae754c12645a18ca 11:9b869aa4:a833113fc76cb39a 12:aa717f5e:38135d19c744cdd8
13:9ebec4a4:361b777fdd4d988e 14:1db81dbe:6a542453f726fbc8 15:0894e48c:1a2b6d1ecacf91ca
16:75f8603a:b9352d79cf419c5a 17:828f6d17:28315d3bd664d0dc 18:1c8834de:fa973153ca1ead9a
19:6e9a1864:a873113fc64e8dca 20:84aed55c:3a914d3ff6ce788a 21:20e57f30:2a3b301302186bca
22:3fa232d4:3aa14d1bcc4f955a 23:fe00e498:0a2d6957c3bc5d09 24:1e137256:4c37711366467afb
25:e4c48103:0e3f8002e3323dcb 26:1d92b400:0a3d2813c35919ca 27:ca6902cf:2e3fe813a23479ca
28:888a0e3f:2a793c1343501dca 29:b613a50c:2a3394120ab1b8ca 30:636235d0:ba5f003dcf2fcd9a
""",
    "math500": """
precalculus/807:14c87d89:c0ed394a intermediate_algebra/1994:e4e11d92:0e64fc8f algebra/2584:4e040d01:aef4c2ce
number_theory/572:510eb582:1da623af algebra/1349:aebc1919:1d56c3da prealgebra/1622:892dae89:97a9dd6f
number_theory/515:d0f6dbe1:0d321233 precalculus/927:09081b74:9506069c algebra/2036:1d504175:6c3f4608
prealgebra/1139:85b989b5:164baf9c number_theory/1032:808082c2:376b191b
intermediate_algebra/1197:ef744d9e:c6c2265d number_theory/737:630c8f4f:e6a39472
geometry/248:ab123c35:7bef2c8d precalculus/1303:84c69d69:3cfa592d precalculus/990:22afb590:7693cf58
intermediate_algebra/134:fb6e48ef:31bd7431 precalculus/1199:4400ef70:93c1f638 geometry/434:cadd929a:fdeab929
intermediate_algebra/1000:842ed0a7:44fd5f0f algebra/1098:88ad3767:c006fdda
intermediate_algebra/607:9f2ca840:d6a5f18f algebra/1837:318fa919:c36d3c6c algebra/2193:6aeae144:92fd4aa2
algebra/2427:6688abfd:d2916fc4 intermediate_algebra/1388:24c01150:d04cebac
counting_and_probability/525:668a2cfa:a32a38a8 prealgebra/1840:d69f2802:c9c5b34c
precalculus/779:743f177a:53b714ff counting_and_probability/666:ccf14f9c:5440e256
number_theory/864:8d6ee02d:9a0ff45a prealgebra/1302:85133eb6:af8e94d7
counting_and_probability/134:a98bc1b7:88f34475 algebra/1072:30401a25:fdbec2b3
counting_and_probability/119:ac2e310f:b71c2382 number_theory/627:5825432b:aa713ea7
intermediate_algebra/428:22d6dc52:756eaabe geometry/967:7788e605:6bdbcb32 algebra/24:2d2f7cd1:b2d5fd23
number_theory/45:d1f9106e:7fe56fe7 prealgebra/930:7a141b55:eafe7fdb geometry/627:197d518c:c8ea39d3
algebra/2214:7b8476d1:e4de2c77 intermediate_algebra/1454:8858514c:4b5df34a prealgebra/1558:778dccf8:9039a8f5
geometry/178:16cca590:fbfc8be5 precalculus/285:90c1f1bc:b896b262 algebra/305:a3dc6a3f:c35118d4
algebra/1265:22263886:a9b14f6f prealgebra/1388:db61276d:6c69a527 number_theory/1055:9328fc72:1b39f1ea
intermediate_algebra/1217:ee9eab64:45e8fc4b prealgebra/951:37738956:ed18bc98
precalculus/1105:b72feb68:73b08771 prealgebra/572:8620ae34:d512841c algebra/187:ebb54875:40b3c5df
algebra/769:c74e9fbd:6c89f966 intermediate_algebra/1168:cadb4c6a:b1384a9f algebra/722:38b5e29a:f2769dd5
prealgebra/1247:ef4d0b6d:82b31080 intermediate_algebra/956:b29387c7:8c4f81b0
intermediate_algebra/1247:6666c694:1f5d96d7 precalculus/675:85bfe588:d4f72aa5
intermediate_algebra/279:b5338dd9:fb4372bc precalculus/1146:13ed593d:fe551729
prealgebra/1747:1848981d:040fa16f algebra/2046:e495b467:fd095b8f prealgebra/1233:81913a07:636774e4
precalculus/1313:d34bd515:9390bc66 intermediate_algebra/207:b9e2a09b:74ea8390
number_theory/46:a72114a6:968c4525 number_theory/516:5ddbbbc5:18943e64 geometry/456:cc96947c:ca4575ce
algebra/2253:0d51043a:d1089a87 precalculus/24313:52379dc8:b010038a
counting_and_probability/1114:cfb56b64:13300370 intermediate_algebra/623:ac344d3d:61a960de
algebra/1004:d9249ba5:b5278424 intermediate_algebra/47:c4d7244d:efbe8a8a prealgebra/192:0272e537:45b74733
intermediate_algebra/1849:27306c6b:febb697b algebra/1035:d4fbe285:12d0b903 algebra/2700:0ae9450d:d2900bf9
intermediate_algebra/2046:1f343217:661a402f algebra/893:5b17507f:7fefd70f geometry/353:b20c8099:7251b29e
prealgebra/307:d60355df:8d5fd3be algebra/567:b85e9339:6ef3dfeb algebra/892:eadd9b46:63034f72
number_theory/357:65b5b783:84569a3c prealgebra/1761:92c1f4b9:a995e74d algebra/2023:c4ac0ac4:8f5451cc
counting_and_probability/377:cf66bf4f:5bfc7509 algebra/873:d45bcbc8:250e7e8c
prealgebra/1646:05b3cc9c:5c7b5187 precalculus/34:92b540f1:fa2600c2
intermediate_algebra/662:f0b4260a:68f7ebc7 prealgebra/105:e5c7c66e:43fdb7d3
prealgebra/1924:2797a8f9:a261b11a precalculus/1300:43abb65a:d4e59c46 geometry/183:8c2f9776:c458b683
intermediate_algebra/582:fef31a7b:27e9f363 intermediate_algebra/431:8d43cd19:1b127f65
intermediate_algebra/558:cd4d3c3d:de72c7ff intermediate_algebra/362:f59942da:10bc27f4
prealgebra/1804:d65d0f14:71aa0eae intermediate_algebra/515:bc1f4bcd:530a09dd
number_theory/914:f266aa87:bfde512a intermediate_algebra/894:261fb0f9:0c81b0a4
precalculus/44:c31eafdc:5224313e intermediate_algebra/345:4f7cdfcd:3d8fd133
counting_and_probability/23957:5f80eb44:0b103d95 algebra/2058:80cabfe5:adcce31a
algebra/2593:b315efc1:9830d390 intermediate_algebra/1898:5226df8c:009e4e96
counting_and_probability/1060:ad9e62ef:f0cdabb8 algebra/2157:68f49e5b:7dce5bd7
algebra/2251:c39b4a56:222ba353 intermediate_algebra/232:ccf7cb8f:d134f12d prealgebra/1733:8890d0f3:45314d95
intermediate_algebra/128:714e0919:12ed1071 prealgebra/505:6a23a6ea:421ae70f algebra/1332:30583212:6ce5594b
geometry/283:00687937:4f5e6197 algebra/972:378e72f6:4b87983e algebra/2232:fe25b68d:5a6a731e
intermediate_algebra/1063:4a259268:3afdf99c number_theory/847:ba378155:f0133050
algebra/661:500511e6:83275295 geometry/1140:9ed7a6e9:335bae12 number_theory/753:97d4d609:23b5d009
algebra/246:6456c23a:d81d4b3a prealgebra/1686:1cecf806:7c0ac591 prealgebra/1807:c44ee181:58f79ae5
intermediate_algebra/1126:a3bcb03c:2d4ee60a prealgebra/1297:92dcd53b:64dcf1ff
intermediate_algebra/2022:264ab6fb:0c13d928 number_theory/1257:2ee1fa79:5b520b5b
counting_and_probability/430:e0d8dd45:c0dd6e59 intermediate_algebra/1151:f3ec021e:71a8f81d
number_theory/156:238e6fc7:b89ef48c number_theory/612:80a51122:f4d5ae88
counting_and_probability/159:917ba12e:07f032f4 precalculus/477:f7c71037:91019d15
precalculus/43:90c66f89:ef281d3a intermediate_algebra/1408:d2d579e0:0cee8548 algebra/1519:55faf9ea:a3d6a9a2
intermediate_algebra/966:ab6ce17d:dce11d8b algebra/988:9a3880ac:fb2b15e4 number_theory/931:808bba68:164a5e1a
intermediate_algebra/964:12d91c65:07747ac6 precalculus/986:0c439079:82cb9f1a geometry/172:ea825b38:e8e1432e
counting_and_probability/230:264abcab:9636ee5f geometry/880:6689076c:837b4f0c
counting_and_probability/803:c0116c82:9120bdac precalculus/117:92691d6a:64a55e21
intermediate_algebra/1410:96201342:e2d4a63b algebra/2570:ebc25638:316d4675 algebra/621:685322ad:b5d133e1
number_theory/521:4d9d3383:230acb97 algebra/1255:f4005259:6ee40823 prealgebra/1655:2d88673c:0cb89557
algebra/2517:858c8422:03be1093 precalculus/697:7ea06c58:d00b2f56 prealgebra/1356:88994883:8ba64674
prealgebra/1003:8d4a538f:9b08f0f6 algebra/478:dec04ce4:2d9d3e82
counting_and_probability/181:5a96b500:544658e3 geometry/802:5ba6f644:23fb652d algebra/297:28057faa:5f023a9e
prealgebra/1272:ad353f6a:b71a4430 algebra/841:16e1f8e4:46e46ca2 algebra/686:ab22be56:3b3adb48
algebra/351:5b2cd49f:b248e86c intermediate_algebra/991:62df0812:e86f1a16 number_theory/598:8b4b34b7:68cc3dd7
geometry/65:6252976f:da15dd55 prealgebra/1113:6646dee0:f1ec9622 precalculus/659:e580f0e6:36b8ff57
prealgebra/1908:1a154e77:47126fb4 algebra/1275:272b2869:9e5f12bf prealgebra/1922:b6071bb1:09e5539f
algebra/1082:5b35fffb:aec68955 intermediate_algebra/183:acd5d4b5:5716d76f algebra/1214:23912502:ced0159d
number_theory/978:100bf21e:5aa1479a algebra/2199:a4d7d835:2e1efd21 algebra/733:8606699d:26355409
geometry/702:85a7c5b1:655fe5bd counting_and_probability/51:4c07b6d0:df3a089d algebra/109:3bf035e7:58020dc8
geometry/221:2fb9ff95:d142075e intermediate_algebra/1422:39c140b8:62225861
intermediate_algebra/2196:cee723b7:cc056b21 intermediate_algebra/591:120f6106:144a7d48
algebra/1937:f4889e3c:f66eda39 number_theory/838:c4da33b3:4ce84488
counting_and_probability/508:a3b934bc:dfa06bce prealgebra/1907:65f407c9:2c9314f9
prealgebra/2086:2a63df95:65061874 number_theory/149:c497618a:4bb9b9b9 algebra/291:b204326d:c043700e
intermediate_algebra/1555:682659c0:fa9e0f42 intermediate_algebra/1510:12884638:92e46daa
precalculus/263:cf2c8dde:7e47c8aa precalculus/541:a8f61d34:d5177166
counting_and_probability/389:b6d7354b:d624fd18 number_theory/1201:c792b9da:cc9932a0
number_theory/234:0bad4e65:adc0d6e1 prealgebra/378:b8a1e323:610afb66 prealgebra/1555:4480375c:5c2ce097
algebra/2102:b69755f7:6a0e1047 intermediate_algebra/102:9bfa1173:12839248
counting_and_probability/765:2096b295:0e24db8b algebra/907:1f145aeb:97acd13e
prealgebra/1436:05cc461b:72789697 number_theory/417:5b313a72:be94bfbc algebra/864:f2737b5c:8505a6e8
counting_and_probability/282:01c7ca21:fef28246 prealgebra/1961:3f9efdd6:bec1de62
number_theory/89:83ff5f9c:cb7292ca geometry/547:15553746:9925cc8e number_theory/183:7b0ba023:6ec2d1ea
precalculus/190:36c09c0c:24ce1210 algebra/2159:6627f321:0ec5ab6c
counting_and_probability/71:494f804f:7c354b33 precalculus/819:acf462e9:fa293b98
precalculus/1056:ca30bccd:bcb3ede3 prealgebra/2057:1de52190:94e166d8
intermediate_algebra/986:444ba280:a0c1bcab algebra/1578:310584e2:b7aec54c
intermediate_algebra/1354:b7c0234c:d418bdec precalculus/441:2ce76a40:ddabd507
intermediate_algebra/1837:bd715a5a:7834dce3 prealgebra/153:88443815:2a40b202
precalculus/989:d8d26805:c6c86136 intermediate_algebra/337:4bbe402f:32403931 algebra/975:558d74b3:0074527e
geometry/229:23a8bd6a:e4a2406b prealgebra/874:6f3d7909:2ee663ab algebra/1143:4159f90d:04ee0cde
algebra/2626:41490e93:b9dff757 geometry/254:e48b5b7c:3fe7aeb3 prealgebra/1251:d2c6727c:89a2e50a
intermediate_algebra/1210:a83d81d5:faee7725 algebra/1787:bf561a86:8dc91895
intermediate_algebra/1123:0f5b0d09:36f28f25 precalculus/920:abb6e483:cc770604
number_theory/1065:97a34dda:21e5e848 algebra/1934:faec0ef1:931786ba
counting_and_probability/894:38981150:912c1d21 algebra/2064:52509005:b1ad786f
prealgebra/1458:b2f71d49:f3bcd7be counting_and_probability/1009:9557881b:9e1af59e
precalculus/452:ee9846b5:2e98cd48 prealgebra/1995:4cd61096:bce8c490 geometry/473:7137cb90:828fd3b1
algebra/694:75ef7e2b:1328aff6 intermediate_algebra/149:3a0e10d0:b4fb6ed3 precalculus/580:efa396f4:c501f439
geometry/347:61aaa136:7a38be6f prealgebra/1317:d7a3b9e5:212ba9c1 geometry/483:7345cd5c:54993692
geometry/826:050cd36e:f36189a6 algebra/524:e0d48827:86bb89b5 prealgebra/1742:5c7506a3:fafc454d
geometry/226:1f11dd94:28c49724 number_theory/466:7208462c:c3039b94
counting_and_probability/913:42331d01:7411bffa algebra/2551:c92807e8:042bc043
number_theory/634:479a25bd:c0c5963f number_theory/533:f7152d65:8dd02535 prealgebra/993:a3205134:65b738e7
geometry/686:34589dd7:3931648f algebra/346:814f9137:f8bf9fc1 algebra/1282:023ec529:e8c24f66
prealgebra/1834:2eee7a9b:c12ff71e number_theory/691:0352299d:9d8b7c3b prealgebra/1512:e57958f3:a51b76f9
number_theory/1287:925e79e7:15b93071 prealgebra/260:0cb8aedf:734cd428 algebra/1184:ce9e5de5:ec71ca86
prealgebra/1787:a03ca1b6:cf26a948 precalculus/768:3f2ca86a:59582d63
intermediate_algebra/1411:ce844d7a:cbc492c8 intermediate_algebra/960:edd20154:51708472
number_theory/631:84d51b49:a4cdf5d4 precalculus/1172:9bd33b17:8ae29790
intermediate_algebra/1300:85e1a80f:a2526b5c algebra/634:d06429ef:1522dffa
counting_and_probability/25149:4f7227f3:8fd6eb84 intermediate_algebra/90:ffee0b0f:97cce3de
algebra/2486:76f148e9:4eb7ce1b number_theory/488:b26f47ce:2b64fdc0 precalculus/1201:e9a4b17a:2c74f058
intermediate_algebra/754:3856eced:32bf535f number_theory/1172:567d5769:e297bbdb
precalculus/881:eb65b4dd:30b3f17d geometry/1097:98d178bd:29b7aefe
counting_and_probability/339:335786d4:21884f45 prealgebra/1044:fd882a82:7980b21d
prealgebra/465:fdda46b6:17fe4bff geometry/965:8302bf85:c9a2982a intermediate_algebra/446:6a6a95ce:ec0265d5
algebra/2257:94189bb8:3ca2f178 intermediate_algebra/1544:d164a11d:2b35bab2 precalculus/695:1940eee5:981bff57
geometry/711:5b72275d:c27fb14d number_theory/203:1b9c34c8:09388453 algebra/1842:16b2dac4:fe86dd79
number_theory/911:55f9bc90:ef600c4e intermediate_algebra/1714:01b167a9:055c24a1
prealgebra/1423:ecd1dd27:189fec3c geometry/1108:789bc91a:b7a15065 algebra/791:3d7df619:0cbd6472
algebra/276:6865ee98:f196d9fc intermediate_algebra/2152:81e94ad3:53b6f626 algebra/2735:2b2a7042:f7b2fd22
algebra/425:240c5a28:e9f8ffa6 geometry/947:9971ce63:14c5e98d prealgebra/954:4155d419:0f155e60
algebra/1936:8e90ae18:8b699a00 counting_and_probability/870:e1f09ceb:2fd52433 geometry/465:0a303102:a00d1d3b
geometry/73:070e1ba6:fc864d8a precalculus/742:c2b24f0a:ab73ab14 intermediate_algebra/117:e6b8b35e:0e1f2a80
algebra/2176:27d46b5c:3607d098 prealgebra/1973:e5039483:2e9155ac
counting_and_probability/216:e996146f:f32d37f8 algebra/509:b88932a4:5640bed7
intermediate_algebra/190:47ce97fd:fa11594a intermediate_algebra/776:44106a45:39aeb933
algebra/1457:56e45a95:fa968f04 number_theory/483:366b34c3:acae3307 algebra/2592:7f9c5443:83c1cfa6
prealgebra/1730:2123677d:223e4223 number_theory/368:7caf2da8:1dfe6144
intermediate_algebra/1566:c6cf2468:aba121c9 precalculus/801:8d60c551:6f19d457 algebra/858:3627e41d:4d802d63
prealgebra/1238:3dec5bab:25f3e536 counting_and_probability/737:146e2a34:373a1e6d
intermediate_algebra/1572:df700608:41a55358 algebra/1529:19b36fd5:312c8a7d algebra/1338:74716639:a18d8449
algebra/1547:aa4f0a03:f710d68a counting_and_probability/116:176e0df6:f6016406
counting_and_probability/238:3fe7cba3:58ceee36 number_theory/686:cb0d0fbf:f2d5bcfc
precalculus/826:0530b0a1:461919f0 precalculus/1281:6ba4df13:dd301c84
counting_and_probability/1014:9ac7cf98:159f54f3 algebra/529:46945c33:f7504037
intermediate_algebra/1166:b93ae664:a91176a2 algebra/1078:68a7172c:f8a2a7bc prealgebra/1353:c8f0ec1e:91011096
intermediate_algebra/860:0bb4c0bd:3fb445ee intermediate_algebra/1407:2cbf3bdc:de12066d
precalculus/96:7b7e5328:75acbeb0 intermediate_algebra/1405:c96192c7:8434e519
counting_and_probability/14:9cff1ad9:d474cc6e algebra/251:e1c65682:cf0a7445
intermediate_algebra/690:b8f2491f:dae20cee number_theory/820:5bfb41ef:ad324a8c
number_theory/109:cad90001:d2fa87b5 algebra/1199:89e1efaf:6f93b579 geometry/106:c8f0b729:15bc4deb
prealgebra/1187:7e945e35:49269726 precalculus/1289:11cdc989:c11c19f4
intermediate_algebra/955:4730d9a3:c82e2a10 geometry/846:6b56aa65:d9119a82 algebra/2264:b70ddc8b:ff1349a8
algebra/1303:cf061561:96377ead number_theory/427:e498405c:1d2f7de0 geometry/538:e281b2bf:d4b1c274
number_theory/1185:7ee0b63e:f0a81f51 prealgebra/1743:53a2f4b5:765dbb4b prealgebra/1865:65261cf0:5417e266
intermediate_algebra/1992:21148f09:f380ea86 counting_and_probability/188:232a5303:0dba6970
intermediate_algebra/1111:01a5b55f:5f4dfb8b algebra/101:2645002a:4b7e4bbb prealgebra/1298:4ea55b4d:7b7bc7fd
prealgebra/2066:c9f95e73:bee4c7b4 algebra/170:cd296148:da33fb45 algebra/849:8056bd42:ef3de15d
algebra/1031:34e41d7f:5d55c43f geometry/795:c50bff1a:56b0f29a algebra/853:d3d152bd:00c28f2c
algebra/2277:2335299b:72a3be54 precalculus/902:d5650583:c859d5c1 algebra/518:d8309a1e:904980d5
intermediate_algebra/1791:beacbca8:f916dade algebra/114:44f7429c:9abadb8c prealgebra/631:d8708d8d:87f7d59e
prealgebra/977:5808b4dc:825ff21c prealgebra/1991:e50ea2c2:ae338aec prealgebra/1784:8caf920d:91ae6ca3
geometry/817:64c634c3:bd8e9d98 intermediate_algebra/1806:35857653:b642d505
precalculus/1291:218e2b67:b52e43f1 number_theory/928:ff717a79:90978760
counting_and_probability/761:026ed052:3c5cd7ec prealgebra/1572:0cd39940:a5bd56db
number_theory/132:cf3ba565:e9f616c3 algebra/1960:97185d9a:c3c93382 precalculus/398:9e954612:980e87f0
intermediate_algebra/1797:c901a320:1fdb7558 prealgebra/65:eb9b8651:3301017f
prealgebra/1227:35c3aff6:5d635e09 intermediate_algebra/2146:0736ae77:0175f6bc algebra/2680:0547cf51:18182dcd
algebra/2391:f3e05a2e:5a2e8530 number_theory/769:4bcc0a21:12cf92d6 precalculus/681:f0b759cc:244e52c4
algebra/776:03b09b20:e9e904b4 algebra/1796:ae1ed96e:d63af0d6 precalculus/145:78884252:d4197330
precalculus/625:307281d9:4f57eab1 precalculus/1202:f4d2d25e:afec64b1
intermediate_algebra/2015:7da8a634:365c8c12 number_theory/1002:66cd5f70:add3a818
algebra/1339:e030639c:6db6e5dc precalculus/1133:4dc16727:d6526433 geometry/843:34292ae0:9a425ec5
algebra/2743:d82575cb:9471925e intermediate_algebra/121:2f17430e:40005a69
intermediate_algebra/1014:a6ded62a:46651c3b prealgebra/2019:89dede02:2ec95735
precalculus/499:c16442f0:22f17446 intermediate_algebra/1462:3cfdf639:9585d3f3
number_theory/410:73a94f16:0c789b60 prealgebra/1640:c0ed37f9:a4fe3a52 algebra/2043:8ec2ef08:8b06cdcf
counting_and_probability/10:93938334:5f335c3b algebra/1553:5dab65b7:6e88e7c1
number_theory/255:0de0e926:97bc5752 intermediate_algebra/199:1a441b21:0466557f
algebra/2080:946e77b8:5b02bed3 prealgebra/2037:9f43f1d0:1de139e6 algebra/1343:a109d7a5:93b02e99
algebra/668:9bb822ac:044f0b59 counting_and_probability/731:114403f7:04e47e5f
intermediate_algebra/1779:fe870fb6:4c0925b9 algebra/2430:6a8ca771:d5ebb8e0 prealgebra/996:fc63e9ac:d7648342
number_theory/1000:0395bb0f:79a3669a algebra/2789:4ac2720d:e6eec344 number_theory/13:425739da:1e9b698f
number_theory/459:b505a9d3:9e949000 algebra/1814:3af4e8b1:804e3a6a algebra/2476:a6d1b596:4aec80d9
precalculus/323:be700d72:3aa39949 counting_and_probability/190:760a1522:7211de3e
intermediate_algebra/1102:a0623ea1:37f6d0cb number_theory/342:3c3455a6:ca4ba791
prealgebra/805:7e5eff0b:d99da900 algebra/2780:f72faa76:728b3008 prealgebra/914:3b4cfe0d:2190e6f4
algebra/824:2a180730:adc5592f number_theory/679:6347d2e7:68107ac0 algebra/1425:915a9ca4:2387a6fd
intermediate_algebra/834:93ba80af:7c960f33 number_theory/72:ead05d14:1af3fb21
precalculus/703:185f2d37:62a716ad prealgebra/1114:baa9a1c9:9533ab78 algebra/224:9830a71f:3e403034
algebra/435:fe433202:5c95902a intermediate_algebra/158:fa14e584:d1632d31 prealgebra/846:029745f1:cb5a66c3
algebra/2470:0aea31fc:fe1a3ed4 prealgebra/1930:0581445b:718019c8 intermediate_algebra/752:a8ad53a9:ea8cec4e
counting_and_probability/1003:1ffe8b1c:56426153 prealgebra/1252:02b729e6:387b313e
number_theory/22:58b0fc7f:b1cfe7e4 intermediate_algebra/1279:8928169b:50ad48d4
number_theory/1128:c99bf2b2:30309370 precalculus/1252:68b641e7:ca65b30d
intermediate_algebra/1467:d4e6a947:be12fe25 number_theory/1090:a6189be2:71cf9b2b
precalculus/1082:a7e7d4cb:264717b9 intermediate_algebra/101:1ba87635:36c83796
counting_and_probability/199:d3edbfdb:520186ba geometry/477:e78542ee:442423e6
number_theory/239:ab5e7561:bfb7cbf2 prealgebra/1203:f1a34ea3:369f6dd0
intermediate_algebra/1365:ef39984b:e68f5194 intermediate_algebra/1350:949e6512:c62da11f
prealgebra/1128:10e43556:0552a99d precalculus/356:e3c859d1:e93730f8 algebra/2779:02e56a2c:e54a074d
intermediate_algebra/1930:ee5adec8:d553a776 intermediate_algebra/1981:ef496ca9:0beb8e76
intermediate_algebra/1232:7b315d41:48d19af2 geometry/561:8b694180:052dc480
intermediate_algebra/1508:0736721d:33d34faa geometry/615:8d3c82fd:4a8923e6
""",
    "gpqa-diamond": """
rec06pnAkLOr2t2mp:38806e40:9dfb2ebe rec0Arme2jcXQZnAW:37d9427b:23be5eaf rec0wZvZgiz320KRs:c9f75559:630576e2
rec0yTRmO1o1xCA6H:f3cd9e00:0718d45a rec1zl5LvaatzGhFt:f7764619:decee454 rec260hNUCEj109Dj:1e34d088:ae0a10eb
rec2UlKqC6RFHdcro:a44f9c83:1502598c rec2ZTsqazBZ3LTWZ:72c6e0e3:22c6c896 rec2fsnzUuvNtUYK8:67365cfc:b8eec29d
rec4JrWy7Il8ho5vk:ff08805a:ee22b720 rec4L69T0Y1AS4AFS:a3163b12:11323ffa rec4UqStf9WUVif1f:dcf587da:3cf564d9
rec4r4KWNLrT7g2kR:67db5d31:84edde50 rec527dNeEtWJrYNl:134de53c:380c92df rec5eA17Qr1ucNLUf:03a0bc4d:7b0fe36b
rec5rjeLsEq5Fg7Oj:7da347aa:64b56d3a rec7C06XOB2h298ue:91892a14:f85d9dab rec7qmSnbud4FHSqL:63dda126:a1fc7f91
rec8nshandHARTkrg:8603a614:74459f61 rec8y3ZrBOcLgNEkE:cb106c5a:a6cd01b0 rec9GugrngvsQR99A:7a52932c:964e96b0
rec9ubQihAh6g9bft:af71e8b8:738252ac recA1i5ZAh0Uzclxp:91ab0f72:74e78924 recAAJoHMW45Lv5je:cda10eec:8b71a169
recBGxVySx1pkrO1i:5c70dbb5:3dd28cdc recBXlqrZUCR897It:0937498f:d7d33e28 recBtVK8rBVtIlXDq:bc07a363:40e39bf9
recCJJOeBGERaHYax:0c900aff:2d7f2e76 recD8oX1KevFbl7bL:a572971a:b553c99e recDDxpS9s8cwkqfq:fc7f50c0:c6146467
recDj2Y2BbtV02Wv5:38e99fe1:a1d8bb30 recDytVnNYZe2HuUU:9e50a87b:9007c60c recEmTBhx2hgw6tPQ:385b05d4:3f4d6cd9
recFaL6j8UMhutXrc:5cd98d39:f3b68a6d recG1ljJQcVy6CbSl:19f2778a:ee72ce3f recGFKDUd8qgz81Zl:5e9c020c:bea3ed06
recGFNRVl1qBZGwyU:9a453235:bfdbc6e0 recHVUd2DkoKfedJZ:2d71fe46:0c13ff55 recI1ls9OXdxatHQn:c179bc7b:27fd8bbb
recIDiDKKrN61Auyr:ea69c884:17d2cf47 recIIUynGGpsGEYuo:2a2aa613:d17ee345 recIMcQfaQNa6vzsT:022b904c:a4cb5b7e
recINSFEYLCyyd08m:2949e751:2d241e0d recIOlKBsOeEcgkA1:cb15cfbc:e37825fe recIj8lR4tuDgrHou:26157e4f:aa538265
recIlghoOw5VbY4Zh:4d9c4bbe:7afcb3e9 recJJcOHhFeSaRpl4:aee3a2dd:122b1892 recJZ3QEfRKjYw9a7:ac9b5784:e67ea5cc
recK9F5aqdaybl8bb:9bfb34b1:151f8fff recKcjTwONILZqHAX:35e03ac6:ad2349ee recKm6LNWykGapmCr:6246a4fd:f2001808
recKv4hFyNpViUXnL:f3eb412a:9dbb1936 recL9MFV5zmdlle5T:fe628d4e:ac8bec8e recLAgwx9vbgB5EHk:5af8c8cc:e85ec4ec
recLSzwBUS3olCjhl:58b34173:18032108 recLrRirj7iXoB0rU:3a915a53:afa3a6a6 recN4DY9Q5V03glmQ:5c2679fa:545f6f5d
recNAiPUKOulQbKVP:90959786:6e16f897 recNFJjE5PPTqVJGv:5e130cf5:4c8a5620 recNu3MXkvWUzHZr9:446b2e2b:bf881969
recNuT2oSnO86bxOx:03bd2812:8d84ac43 recO3hvCWRGiG0odN:94512d92:96d81bf7 recOYsaYs6RmtlTDy:9fda9aed:96bc0298
recOkA2zsy4GSMD9R:03ed688d:fa151222 recOvqPKUtyy9ISA1:dc0b8354:c1911a02 recPL4ZPpVYxgMu57:a2144f13:d7e99e2c
recPSTGXK3P39yNYT:b8d3784a:c6a1fea0 recPzW1WqRnPs57D6:6671eafc:330ba1e3 recQ8oxSY2aCwFRS8:ea1c83bd:6f3c6ff8
recQiWOxhkXRz9NVE:5346cf1e:ea7ee3c3 recRTiyaRymerDJ4y:e80734b8:af7836bc recRgabRzMaEoBRcM:cdd75521:737eb211
recS48OsU6kVadBPW:055506c4:eca0aeaf recSBcGLPatKb3Ygu:d971b313:ee8ade49 recTs7qzfJs6kfLUK:08b55035:facd03b1
recUBgVlkKzcRPDdK:af2ae662:f4118ab7 recUOePh79cp4T2Bg:d81120c7:a297c72c recV1nqYQvpII94oC:c411ea1c:2db581bf
recVEXvhYxAhELVqB:3f5f1f46:be0290c5 recVvpD8miVjmmyfe:53ed519c:2ec6a01b recWPMm91mGDLXONm:c168cab4:477dddda
recWxGU8Q4YReJ1tb:fbadfa3e:00a428f2 recWzUUYBN0NuXO2k:ba13a143:e08fbabb recXsuOHRBLcyenF2:05e0e31c:ed377078
recXvQ6gWAmyakrpD:ae122023:50ee6ef8 recYA3LPsCvF1fTMI:8941a515:4f6a43ff recYOzCsevNz61Lyn:7b33622d:23520e33
recYt8xx80OTyDsL0:4f9743ce:b3ecab2e recZ13cwgDQf9jRd9:8be9e0e0:d3f77eac recZSGUkn56v9kEp1:4b6cab5f:85e1b5a3
recZWeueB7lSPR6wN:d770b499:e0b0caae recZbxrocrxh9YENH:d802ae80:110f7d71 recZdZxsN0AxDx0pB:b10cf4ae:5e49fe40
recZt4x514UQNnsgy:8fb4d411:c702e008 reca44yABeO2fx7UB:f06c527f:73f63129 recaXdGn3FAIkxLGM:5d967b4b:da18fd57
recafnH3RRnMBXEb1:68dc1b4f:8801011a recakFKZioXUuldcd:ad424825:f1ced63c recb2M22zaD3tL6Qc:3ac2593d:ef719494
recb4cGsC6BJUCU3V:f612c7bb:5e2fda0a reccOKzFNmyqeJ6ry:fec066d3:ca1aef6d reccVFW11Elovnf8T:456d0b41:e04f4321
recclFbsjbaiVVnnV:d5b567a0:704c1ff8 recdya6FuYraBU5Rh:81fa7b48:cb8ae1b7 receYQxnUBvxPcvbQ:a575cabd:804e3e09
receo3UUzRvWCqyfA:c49fdbb0:aa4af4b9 recf6ayQmL1SxKbvW:25ade48f:a251e870 recgI6tUQ7RLJRWGx:324c4f58:c4059ed9
recgM7o1tcc7tP778:c7e7a2e9:c984f964 recgXxEgllSGEpELP:5e98a3fb:f7102180 rechKl68Uc6H7vU0N:fa650df6:a2ebbf5b
rechgQucGlrnt8KRV:bd69a9f8:bea69151 rechtUKxC6G67H7Pr:7c2fc751:5bafc243 recihePFulRgNKsIn:511aa3be:848eeae5
reciuppdQde4FGX1z:1c9b3de8:7904aa18 recjJ54TXc04enRkZ:f8595fcc:b0d0d635 recjgMJaMxz4ESDF2:9a52bbea:2238e9f3
reck1zKeCssmN82Ga:5f8c6e35:d07c6d3e reck4G4xxv3YnpbtQ:b0c512f0:b90d9592 reckYqR92oJkqJXkE:243bcbf0:3240488a
reckl6PkaEMWM50yZ:594a4e28:08c9376b recl1UtgTVKishAq4:aaab2036:18cb9c15 recmI7EiLv72PxmYK:e509db8e:8b53bd86
recmkvk6EFAmqyMxR:18fb6bd9:9997d272 recmwwQJnx7ll7bqL:c5016089:4119dd6b recn3NhOhqAPLda16:0d7c0941:40045ead
recnGEpF1srQpaqWq:021649fc:de60eded recnTTKdBzfuoZ7w7:c9f5629f:21d37b27 recnawZPumSCLMVgp:b8b70b90:e7f947d7
recnjViFrqlZNL3fY:6e4729b2:a219e05a reco8WSc71p8zAv4q:69263ad5:0267e76e recooG6bivTUJpDBz:a2d84171:2ecea1df
recoy9ZLBsc7HIRBy:ebb54a0f:ef5b9890 recpJmTOXx6T48nDJ:c3b1acc8:7ed13d4b recpki12iG9RUGrz9:9e226c4d:bee763a4
recqFDvYKKRmbnoUb:ccde978a:80594b2f recqGD3fxPCI59vPQ:e7bb4990:b7c77125 recqLRu4BcJvlSANc:ab007a27:b14de09b
recr3VHM4zYf6dMFY:45ae2473:1e7aa427 recrHBEJJoDTV05JR:59c6cd3c:e29087c7 recrNbtgTNoabJJi6:e3ada582:8493d741
recrs0kUo7Ua1xhKO:52e26554:5bfd94de recs3PLPUEMiqg4P8:81166924:db4fcccb rect4iLrSfUwkNTno:60711612:65582b7a
rectXfsCM1dj4Kv2c:e7310613:26f7588f rectlyG9pCAAuWhoB:407d634a:ad92c775 recuYEkVjdVUwA3c0:d32432ea:e3b8f8ed
recuyeuT5rQ6qDt8F:91e850ae:b16c98c8 recv7GsQg3f0fvB1f:a74324dd:6ab5b6b4 recvZlMbpPz0yLDle:40f16201:c0e3c89b
recvlnu8BuLmXZhSX:e3529a4f:f24169d1 recw4rROcnHKNZhtK:769e68af:c66061e3 recxTy0x7M6T9ikc0:91815e26:65c50738
recxsX66ktJ1Lwt4f:5c5baea6:e9eb4457 recyPffUDqC2k7ZZO:8c3d635a:a43549d6 recyl3usDqb7ruXJx:158dbb9d:ed12a54a
recypVp2NmPlBKVTp:c0f7e65d:0851c17b reczQ4I0VpENdMtIj:423e29bd:71740638 reczUoM8JsxU6pYxr:c1adf837:9cbd2896
reczjcMtrB1YGS2fO:722babee:5d186c1d reczzzihL7btBH7RO:3753d0be:fd92b40a rec0VuKUjt1SZ7NYv:cbc7e135:337506c0
rec1oj2DveQWl9Rpw:4fe7c16f:9be06293 rec32C1ZEapBnCC0E:abb0780a:accca851 rec47oNPXudlTIk4y:f38f4d67:f9a5dbdd
rec6sE2CRtD4drtHg:b56df181:cc86513f rec9W28HgpEUeUN8k:a63f481f:9e189446 recAYkd96NNuNl1Ei:0d4fcc8c:e7ff4fac
recBhnXrUyTJ6WHIR:5ef1d876:1a455a8d recE2ihVfqEK4R9d0:e24eeb4d:75b6bbd4 recGee5m84dg5FZkc:bd4bb9f9:cfd7812f
recINGR1z01Fh1Z3A:e9038d0a:2c5dce99 recJpyGtGIsxulevT:6d8f781f:4d742896 recLB0EkQ54bYVhnd:ca461770:d010d81d
recMicVBcqy1xM1jq:feb38562:51626850 recPIzpnuYpB4yvmp:5962f031:35283726 recRZjaElf8ft7xTq:226bdf9d:d74b93ff
recReg13iV2HwJTaA:5057e6e5:f788ae84 recRhwQwHijW0gCLo:50ff86e2:dd231a4c recUc29lMDBEvurYo:ebe22310:f8eb6c63
recVE8cUNHpHZIAvL:a117288e:3f07adb9 recWXwn9v4IG9ZrM6:f5d49d73:d00742f6 recXsYa3i2UhGF5fe:0b19908d:3f8c8a8d
recYCMJWH7IpcdqwE:f71d0140:eaea5da0 recatj4YXzbOaq3Ar:3dfbd56f:a28cf8be recb80OwMgNnceA9t:79f802d9:65d8e9a4
reccVBrYdwsB84fGy:b280c687:37d3e2ac recfTlTMjZBuOducT:3c310e16:2b8df94b recgC4GJ8wUemlUQD:faf5280d:d9010558
recixxJmdux0d8LZQ:9df06052:2b08b4f1 reckEnrOPFT9Ru7tW:67541ef3:d53455f4 recoiTJPGUmzAkief:cc83cd0d:23cb4f0c
recwW1A85nfyQpReG:523173dd:7dbda5c9 recwlwlcPvXVNPmvl:5e89363c:fea2bca8 recyrk6XBVwugG5u8:e2628afd:96ff55cd
recywRj5a8EEjj2Ib:184e9470:a26889c3 recz3MfYHPRhsEQkW:f7cc222b:7398e286 reczkBiPPNrNN49Hp:ac57b849:27502032
""",
}
